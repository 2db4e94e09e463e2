"""Whether HTTP addresses of this container answer 200: python -m deploy.compose.healthcheck PORT/PATH ...

The image holds no curl, and this starts faster than a client that can do more.
"""

import http.client
import sys

TIMEOUT_SECONDS = 4.0


def answers(port: int, path: str) -> bool:
    """Whether a GET is answered with 200 in time."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def main(addresses: list[str]) -> int:
    """0 when every address, such as `8080/health/ready`, answers."""
    for address in addresses:
        port, _, path = address.partition("/")
        if not answers(int(port), f"/{path}"):
            print(f"{address} does not answer 200", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
