# The servers' own images, with a folder for their data that an unprivileged user owns: a named volume takes its owner
# from the folder it is mounted over.

FROM nats:2.15.1-alpine AS nats
RUN install -d -o 10001 -g 10001 -m 0700 /data
USER 10001:10001

FROM versity/versitygw:v1.8.0 AS s3
RUN install -d -o 10001 -g 10001 -m 0700 /data
USER 10001:10001
