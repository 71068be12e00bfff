"""What an answer says."""

from __future__ import annotations


def refused(response, error, status=400):
    """Checks that a request was refused, and gives the description."""
    assert response.status_code == status
    assert response.headers["cache-control"] == "no-store"
    assert response.json()["error"] == error
    return response.json()["error_description"]
