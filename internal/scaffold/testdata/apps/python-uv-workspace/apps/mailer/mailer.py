from flask import Flask
from queue_lib import push

app = Flask(__name__)
app.post("/")(lambda: push("mail"))
