# SPDX-License-Identifier: Apache-2.0
"""The proxies under measurement: how each is configured, started and stopped."""
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, 'build-bench')
PROXY_CORE, LOAD_CORE = '0', '1'

NGINX_CONF = '''
daemon off; worker_processes 1; pid {dir}/nginx.pid;
worker_rlimit_nofile 20000;
events {{ worker_connections 19000; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
  client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f;
  uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
  client_body_buffer_size 128k; client_max_body_size 0;
  upstream origin {{
    server 127.0.0.1:{origin}; keepalive 4096; keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection "";
    }}
  }}
}}
'''

HAPROXY_CONF = '''
global
  nbthread 1
  maxconn 9800
defaults
  mode http
  timeout connect 3s
  timeout client 600s
  timeout server 600s
  timeout http-keep-alive 600s
  option http-keep-alive
  http-reuse always
frontend in
  bind 127.0.0.1:{port} backlog 4096
  default_backend origin
backend origin
  server o 127.0.0.1:{origin} pool-max-conn 4096
'''

NARU_CONF = '''
gateway:
  workers: 1
  listen:
    - address: "127.0.0.1:{port}"
      limits: {{ max_connections: 19000, idle_timeout: 10m }}
  routes:
    - match: {{ path: "/*" }}
      service: origin
services:
  origin:
    instances: ["127.0.0.1:{origin}"]
    pool: {{ max_idle: 4096, max_connections: 8192 }}
observe: {{ metrics: true, access_log: false }}
admin: {{ listen: "127.0.0.1:{admin}" }}
'''


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Process:
    """A program on one core, with its own session, that answers on a port."""

    def __init__(self, name, core, command, port, log):
        self.name, self.port, self.log = name, port, log
        with open(log, 'wb') as out:
            self.process = subprocess.Popen(['taskset', '-c', core] + command, stdin=subprocess.DEVNULL,
                                            stdout=out, stderr=out, start_new_session=True)
        self._wait()

    @property
    def pid(self):
        return self.process.pid

    def _wait(self):
        for _ in range(200):
            if self.process.poll() is not None:
                break
            with socket.socket() as s:
                if s.connect_ex(('127.0.0.1', self.port)) == 0:
                    return
            time.sleep(0.05)
        with open(self.log, errors='replace') as f:
            sys.exit(f'bench: {self.name} does not answer on port {self.port}:\n{f.read()}')

    def stop(self):
        if self.process.poll() is not None:
            return
        os.killpg(self.pid, signal.SIGTERM)
        try:
            self.process.wait(3)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            self.process.wait()


def sbin(name):
    return shutil.which(name) or f'/usr/sbin/{name}'


def start_peer(name, origin_port, work):
    """name: floor, nginx, haproxy, naru, or the path of another naru binary."""
    label = os.path.basename(os.path.dirname(name)) if '/' in name else name
    port, path = free_port(), os.path.join(work, label + '.conf')
    values = dict(dir=work, port=port, origin=origin_port, admin=free_port())
    text, command = {
        'floor': (None, [f'{BUILD}/bench/bench-relay', str(port), str(origin_port)]),
        'nginx': (NGINX_CONF, [sbin('nginx'), '-c', path, '-e', f'{work}/nginx.err']),
        'haproxy': (HAPROXY_CONF, [sbin('haproxy'), '-f', path]),
    }.get(name, (NARU_CONF, [f'{BUILD}/naru' if name == 'naru' else name, 'serve', '-c', path]))
    if text:
        with open(path, 'w') as f:
            f.write(text.format(**values))
    return Process(label, PROXY_CORE, command, port, os.path.join(work, label + '.log'))


def start_origin(work):
    port = free_port()
    return Process('origin', LOAD_CORE, [f'{BUILD}/bench/bench-origin', str(port)], port,
                   os.path.join(work, 'origin.log'))


def below(pid):
    """The process and its descendants."""
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        try:
            tasks = os.listdir(f'/proc/{one}/task')
        except OSError:
            continue
        found.append(one)
        for task in tasks:
            try:
                with open(f'/proc/{one}/task/{task}/children') as f:
                    todo += [int(child) for child in f.read().split()]
            except OSError:
                pass
    return found


def cpu_ns(pid):
    """User and system time of the process and its descendants, by the scheduler."""
    total = 0
    for one in below(pid):
        for task in os.listdir(f'/proc/{one}/task'):
            with open(f'/proc/{one}/task/{task}/schedstat') as f:
                total += int(f.read().split()[0])
    return total


def anonymous_bytes(pid):
    total = 0
    for one in below(pid):
        with open(f'/proc/{one}/smaps_rollup') as f:
            total += sum(int(line.split()[1]) for line in f if line.startswith('Anonymous:')) * 1024
    return total
