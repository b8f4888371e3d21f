# Debian's nginx where Alpine's is meant: it reads the same configuration. wget is busybox's, as there.
FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends nginx-light busybox-static && rm -rf /var/lib/apt/lists/* /var/www \
    && ln -s busybox /bin/wget && groupadd --system --gid 101 web && useradd --system --uid 101 --gid 101 web \
    && mkdir -p /usr/share/nginx/html && rm -rf /etc/nginx/modules-enabled && chown -R 101 /var/log/nginx /var/lib/nginx
CMD ["nginx", "-g", "daemon off;"]
