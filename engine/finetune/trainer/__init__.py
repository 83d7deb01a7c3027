"""The process that trains: `python -m engine.finetune.trainer RUN_FOLDER`. The app starts it and reads what it writes."""
