# Debian's Python 3.11 and pip, though the name says 3.12.
FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-pip python3-venv python-is-python3 \
    && rm -rf /var/lib/apt/lists/* && pip --version
# pip brings certificates of its own. The marker that keeps it off Debian's packages is not in the image that has this name.
ENV LANG=C.UTF-8 PIP_BREAK_SYSTEM_PACKAGES=1 PIP_CERT=/etc/ssl/certs/ca-certificates.crt
CMD ["python3"]
