from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0002_batches")]

    operations = [
        migrations.AddField(
            model_name="slot",
            name="trouble",
            field=models.JSONField(null=True),
        ),
    ]
