# What distroless/static has: certificates, time zones and a user, and no C library.
FROM debian:bookworm-slim AS debian
RUN apt-get update && apt-get install -y --no-install-recommends tzdata && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 65532 nonroot && useradd --uid 65532 --gid nonroot --create-home nonroot

FROM scratch
COPY --from=debian /etc/passwd /etc/group /etc/
COPY --from=debian /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=debian /usr/share/zoneinfo /usr/share/zoneinfo
COPY --from=debian --chown=65532:65532 /home/nonroot /home/nonroot
USER 65532
WORKDIR /home/nonroot
