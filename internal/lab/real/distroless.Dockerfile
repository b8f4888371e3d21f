# The whole of Debian in the place of what distroless leaves of it: a C library, certificates, time zones, and its
# user. It shows that a program starts, not how small the image is.
FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends tzdata && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 65532 nonroot && useradd --uid 65532 --gid nonroot --create-home nonroot
USER 65532
WORKDIR /home/nonroot
