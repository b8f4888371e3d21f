from bottle import Bottle

api = Bottle()


@api.get("/ping")
def ping():
    return "pong"
