# A copy of the machine's Go, which is the build context. Neither git nor gcc is here.
FROM debian:bookworm-slim
COPY --exclude=test . /usr/local/go
ENV PATH=/go/bin:/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin GOPATH=/go GOTOOLCHAIN=local
RUN go list fmt
WORKDIR /go
CMD ["bash"]
