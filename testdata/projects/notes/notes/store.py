"""The notes themselves."""


class Store:
    """Notes in the order in which they came."""

    def __init__(self):
        self._notes = []

    def add(self, text):
        note = {"id": len(self._notes) + 1, "text": text.strip()}
        self._notes.append(note)
        return note

    def all(self):
        return list(self._notes)
