"""Notes over HTTP."""

from flask import Flask, jsonify, request

from .store import Store

app = Flask(__name__)
store = Store()


@app.get("/notes")
def index():
    return jsonify(store.all())


@app.post("/notes")
def add():
    return jsonify(store.add(request.get_json()["text"])), 201
