"""The least a view can do to accept a job: the measure for our own. Never part of the product."""
