def push(text):
    return text
