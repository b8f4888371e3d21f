# Bun's own build from the npm registry.
FROM debian:bookworm-slim AS amd64
ADD --unpack --checksum=sha256:4d735913a4e575d9695d5d904885d077f077550c475e0b12f8fd50f5b37bc250 \
    https://registry.npmjs.org/@oven/bun-linux-x64/-/bun-linux-x64-1.3.2.tgz /bun

FROM debian:bookworm-slim AS arm64
ADD --unpack --checksum=sha256:2ebae71e1bdccb5d28014f09ac66499e60058d5bef9dca8c8adf26a5175df590 \
    https://registry.npmjs.org/@oven/bun-linux-aarch64/-/bun-linux-aarch64-1.3.2.tgz /bun

FROM ${TARGETARCH} AS bun

FROM debian:bookworm-slim
RUN groupadd --gid 1000 bun && useradd --uid 1000 --gid bun --shell /bin/sh --create-home bun
COPY --from=bun --chmod=755 /bun/package/bin/bun /usr/local/bin/bun
RUN ln -s bun /usr/local/bin/bunx && bun --version
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
WORKDIR /home/bun/app
CMD ["bun"]
