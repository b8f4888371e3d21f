from notes.store import Store


def test_notes_are_numbered():
    store = Store()
    assert store.add(" milk ") == {"id": 1, "text": "milk"}
    assert store.add("tea")["id"] == 2
    assert len(store.all()) == 2
