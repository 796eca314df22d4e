"""Requests to the classic API."""

import io

UNKNOWN_ID = 999_999_999
CSV = b"""task_name,description,status,priority,created_at,assigned_user
Water the plants,Not too much,true,high,9/1/2024,john_doe
Feed the cat,,false,low,2024-09-02,
"""


def upload(client, content, *, path="/upload-csv"):
    return client.request("POST", path, data={"file": (io.BytesIO(content), "tasks.csv")})
