"""Greets people from a configuration file."""

import sys
import time

import yaml

CONFIG = "/etc/acme-greet/greet.yaml"


def main():
    """Prints a greeting; with `serve`, once a minute."""
    while True:
        with open(CONFIG, encoding="utf-8") as file:
            print(yaml.load(file, Loader=yaml.CSafeLoader)["greeting"], flush=True)
        if sys.argv[1:] != ["serve"]:
            return
        time.sleep(60)
