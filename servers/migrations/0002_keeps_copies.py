from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("servers", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="server",
            name="keeps_copies",
            field=models.BooleanField(db_default=True, default=True),
        ),
    ]
