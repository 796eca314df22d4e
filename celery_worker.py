"""Worker and beat: `celery -A celery_worker worker` and `celery -A celery_worker beat`."""

from app.factory import create_celery

celery_app = create_celery()
