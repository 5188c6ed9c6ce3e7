"""The description of the REST API: what is asked, what is answered, for people and programs.

`docs/openapi.json` and `docs/api.md` are made from it by `manage.py apidocs`, and tests hold
the API to it.
"""
