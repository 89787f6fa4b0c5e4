# Two images from one file: `web` serves an atlas and has no torch; `precompute` builds one.

FROM node:22-slim AS frontend
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --silent --omit=dev --ignore-scripts
COPY static ./static
RUN npm run --silent postinstall

FROM python:3.11-slim AS wheel
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY app ./app
COPY precompute ./precompute
COPY templates ./templates
COPY --from=frontend /src/static ./static
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.11-slim AS web
ENV PYTHONUNBUFFERED=1
COPY --from=wheel /wheels /wheels
RUN pip install --no-cache-dir /wheels/*.whl \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin unitscope \
    && install -d -o unitscope -g unitscope /atlas
USER unitscope
VOLUME /atlas
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["unitscope"]
CMD ["serve", "--atlas", "/atlas", "--host", "0.0.0.0", "--port", "8000"]

FROM python:3.11-slim AS precompute
ARG TORCH="torch==2.14.1 torchvision==0.29.1"
ENV PYTHONUNBUFFERED=1
# A layer of its own: it is the largest by far and does not change with the code. TORCH is several words on purpose.
RUN pip install --no-cache-dir ${TORCH}
COPY --from=wheel /wheels /wheels
RUN pip install --no-cache-dir "$(echo /wheels/*.whl)[demo]" \
    && useradd --uid 10001 --create-home --shell /usr/sbin/nologin unitscope \
    && install -d -o unitscope -g unitscope /atlas
USER unitscope
VOLUME /atlas
ENTRYPOINT ["unitscope"]
CMD ["demo", "--atlas", "/atlas", "--no-serve"]
