import time

import requests

while True:
    print(requests.get("https://example.com/").status_code)
    time.sleep(60)
