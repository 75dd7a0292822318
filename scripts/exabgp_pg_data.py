"""What exabgp-pg-vrps and exabgp-pg-as-data share: options, reading a file in whatever way it
is compressed, and replacing tables of schema hunt in one transaction; with exabgp-pg-report,
how to tell that a database does not have our schema."""

import argparse
import bz2
import io
import json
import os
import re
import subprocess
import sys
import zlib

# exit codes, of sysexits.h
FAILED, USAGE, BAD_DATA = 1, 64, 65
SIZE_MAX = 1 << 30  # bytes of a file, unpacked
ASN_MAX = 2**32 - 1

_asn = re.compile(r"(?:AS)?([0-9]{1,10})\Z", re.ASCII | re.IGNORECASE)


class Refused(Exception):
    """The input is no good; nothing was changed."""


class Failed(Exception):
    """Something else went wrong; nothing was changed."""


class Parser(argparse.ArgumentParser):
    """Options as in the other scripts: usage on standard error and exit code 64."""

    def __init__(self, usage):
        super().__init__(usage=usage, allow_abbrev=False)
        self.add_argument("-d", "--dsn", default=os.environ.get("EXABGP_PG_DSN", ""))
        self.add_argument("--allow-empty", action="store_true")
        self.add_argument("--allow-shrink", action="store_true")

    def error(self, message):
        print(f"{self.prog}: {message}\nusage: {self.usage}", file=sys.stderr)
        sys.exit(USAGE)


def run(main):
    """Calls main and ends the program, with one line on standard error if it failed."""
    program = os.path.basename(sys.argv[0])
    sys.stdout.reconfigure(errors="backslashreplace")
    try:
        main()
    except Refused as e:
        print(f"{program}: {e}", file=sys.stderr)
        sys.exit(BAD_DATA)
    except Failed as e:
        print(f"{program}: {e}", file=sys.stderr)
        sys.exit(FAILED)


def name_of(path):
    return "standard input" if path == "-" else path


def _unpack(data):
    if data.startswith(b"\x1f\x8b"):
        out = io.BytesIO()
        while data:  # a file may be several of them, one after the other
            stream = zlib.decompressobj(wbits=31)
            out.write(stream.decompress(data, SIZE_MAX + 1 - out.tell()))
            if not stream.eof:
                raise ValueError("too large" if out.tell() > SIZE_MAX else "ends too early")
            data = stream.unused_data.lstrip(b"\0")
        return out.getvalue()
    if data.startswith(b"BZh"):
        with bz2.open(io.BytesIO(data)) as stream:
            return stream.read(SIZE_MAX + 1)
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        done = subprocess.run(["zstd", "-dcq"], input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        if done.returncode != 0:
            raise ValueError(done.stderr.decode(errors="replace").strip().replace("\n", "; ") or "zstd failed")
        return done.stdout
    return data


def read(path):
    """The text of a file, or of standard input for "-": plain, or of gzip, bzip2 or zstd."""
    try:
        if path == "-":
            data = sys.stdin.buffer.read(SIZE_MAX + 1)
        else:
            with open(path, "rb") as f:
                data = f.read(SIZE_MAX + 1)
    except OSError as e:
        raise Failed(f"could not read {name_of(path)}: {e.strerror}") from None
    try:
        data = _unpack(data)
    except (OSError, EOFError, ValueError, zlib.error) as e:
        raise Refused(f"{name_of(path)}: could not unpack it: {e}") from None
    if len(data) > SIZE_MAX:
        raise Refused(f"{name_of(path)}: larger than {SIZE_MAX} bytes")
    if not data.strip():
        raise Refused(f"{name_of(path)}: empty")
    if b"\0" in data:
        raise Refused(f"{name_of(path)}: not a text file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def lines_of(path, text):
    """(number, line) of each line; a last one without its end is taken for cut off."""
    if not text.endswith("\n"):
        raise Refused(f"{name_of(path)}: the last line has no end, the file may be cut off")
    return enumerate(text.split("\n")[:-1], 1)


def asn_of(value):
    """An ASN as a number, from 64500, "64500" or "AS64500"."""
    if isinstance(value, str):
        match = _asn.match(value)
        value = int(match[1]) if match else None
    if type(value) is not int or not 0 <= value <= ASN_MAX:
        raise ValueError("not an AS number")
    return value


# Why the database cannot be used, as JSON, "" if it can; needs: a table of the schema.
SCHEMA_PROBLEM = """SELECT to_json(CASE WHEN to_regclass('bgp.schema_version') IS NULL THEN
    'the database has no exabgp-pg schema: exabgp-pg-db init makes it'
    WHEN to_regclass(:'needs') IS NULL THEN 'the exabgp-pg schema of the database is too old: run exabgp-pg-db upgrade' ELSE '' END);
"""


def _psql(options, text, **variables):
    environment = dict(os.environ, PGAPPNAME=os.path.basename(sys.argv[0]), PGCLIENTENCODING="UTF8")
    environment["PGOPTIONS"] = environment.get("PGOPTIONS", "") + " -c client_min_messages=warning"
    command = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
    if options.dsn:
        command += ["-d", options.dsn]
    for name, value in variables.items():
        command += ["-v", f"{name}={value}"]
    try:
        done = subprocess.run(
            command + ["-f", "-"], env=environment, input=text.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False
        )
    except OSError as e:
        raise Failed(f"could not run psql: {e.strerror}") from None
    if done.returncode != 0:
        why = re.sub(r"^psql:(<stdin>:\d+: )? *", "", done.stderr.decode(errors="replace").strip())
        raise Failed(f"could not load: {why}")
    return done.stdout.decode(errors="replace")  # (of an SQL_ASCII database it need not be UTF-8)


def encoding_of(options):
    """Python's codec for what the database can store; ASCII where there is none."""
    name = _psql(options, "SHOW server_encoding;").strip()
    if name == "SQL_ASCII":
        return "utf-8"
    for codec in (name, name.replace("WIN", "cp"), name.replace("KOI8", "koi8_")):
        try:
            "".encode(codec)
            return codec
        except LookupError:
            pass
    return "ascii"


_escapes = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def _row(values):
    """A line of COPY's text format."""
    return "\t".join(
        [
            r"\N" if v is None else str(v) if type(v) is int else v.translate(_escapes) if "\\" in v or not v.isprintable() else v
            for v in values
        ]
    )


def replace(options, source, data_time, tables):
    """Replaces hunt.NAME for each (name, columns, rows, statement) of tables, all in one transaction;
    the statement, if any, is run on the staged rows.  Returns of each (added, removed, total), and what
    the statement gave as JSON or None."""
    problem = json.loads(_psql(options, SCHEMA_PROBLEM, needs="hunt.data_source"))
    if problem:
        raise Failed(problem)
    script = ["BEGIN;"]
    for name, columns, rows, statement in tables:
        script.append("\\echo .")
        script.append(f"CREATE TEMP TABLE {name} (LIKE hunt.{name}) ON COMMIT DROP;")
        script.append(f"COPY pg_temp.{name} ({columns}) FROM STDIN;")
        script.extend(map(_row, rows))
        script.append("\\.")
        script.append(f"ANALYZE pg_temp.{name};")
        if statement:
            script.append(statement)
        script.append(
            f"SELECT added, removed, total FROM hunt.data_replace('{name}', :'source', "
            "nullif(:'data_time', '')::timestamptz, :'allow_empty', :'allow_shrink');"
        )
    script.append("COMMIT;")
    script.extend(f"ANALYZE hunt.{name};" for name, _, _, _ in tables)
    out = _psql(
        options,
        "\n".join(script) + "\n",
        source=source,
        data_time=data_time or "",
        allow_empty=options.allow_empty,
        allow_shrink=options.allow_shrink,
    )
    results = []
    for part in out.split(".\n")[1:]:
        *said, changes = part.rstrip("\n").split("\n")
        results.append((tuple(map(int, changes.split("|"))), json.loads(said[0]) if said else None))
    return results


def report(name, changes, notes=()):
    added, removed, total = changes
    notes = [f"{n} {what}" for n, what in notes if n]
    print(f"hunt.{name}: {added} added, {removed} removed, {total} in all" + (f" ({', '.join(notes)})" if notes else ""))
