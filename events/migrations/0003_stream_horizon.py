from django.db import migrations, models


def note_what_is_forgotten(apps, schema_editor):
    """What is missing before the oldest event that is kept was dropped, or never there."""
    Event = apps.get_model("events", "Event")
    oldest = Event.objects.order_by("id").values_list("id", flat=True).first()
    if oldest is not None and oldest > 1:
        apps.get_model("events", "Horizon").objects.create(id=1, event_id=oldest - 1)


class Migration(migrations.Migration):

    dependencies = [
        ('events', '0002_answers_for_repeated_requests'),
    ]

    operations = [
        migrations.CreateModel(
            name='Horizon',
            fields=[
                ('id', models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ('event_id', models.BigIntegerField(default=0)),
            ],
        ),
        migrations.RunPython(note_what_is_forgotten, migrations.RunPython.noop),
    ]
