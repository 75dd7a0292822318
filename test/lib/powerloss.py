#!/usr/bin/env python3
"""Turns a directory into what could be on disk after a power failure.

    powerloss.py DIRECTORY LEDGER GRAVE SEED

The ledger is diskfault.c's: which bytes and names had been synced when its process was
killed.  Synced bytes stay; of those after them a piece stays, or zeroes are in their
place, or either by pages in no order.  Names that were not synced (new, gone, renamed)
may be as before.  The ledger and the grave are emptied: what is there now is on disk.
Prints what was done.
"""
import os
import random
import sys

PAGE = 4096


def replay(ledger):
    """Bytes synced of each inode; changes of names, oldest first, since the last sync."""
    synced, pending = {}, []
    with open(ledger, encoding="utf-8") as lines:
        for line in lines:
            call, *words = line.split()
            if call == "create":
                synced[int(words[0])] = 0
                pending.append((call, int(words[0]), words[1]))
            elif call == "trunc":
                inode = int(words[0])
                if inode in synced:
                    synced[inode] = min(synced[inode], int(words[1]))
                else:
                    synced[inode] = int(words[1])
            elif call == "sync":
                synced[int(words[0])] = int(words[1])
            elif call in ("unlink", "rename"):
                pending.append((call, int(words[0]), *words[1:]))
            elif call == "syncdir":
                pending = []
    return synced, pending


def lose_names(directory, grave, pending, rng):
    """Most file systems keep a beginning of the changes; any part of them may be kept."""
    if rng.random() < 0.7:
        undone = pending[rng.randint(0, len(pending)):]
    else:
        undone = [change for change in pending if rng.random() < 0.5]
    for call, inode, *names in reversed(undone):
        path = os.path.join(directory, names[0])
        if call == "create":
            if os.path.exists(path) and os.stat(path).st_ino == inode:
                os.unlink(path)
                yield f"no {names[0]}"
        elif call == "unlink":
            kept = os.path.join(grave, str(inode))
            if not os.path.exists(path) and os.path.exists(kept):
                os.link(kept, path)
                yield f"{names[0]} again"
        elif call == "rename":
            new = os.path.join(directory, names[1])
            if os.path.exists(new) and not os.path.exists(path):
                os.rename(new, path)
                yield f"{names[0]} not yet {names[1]}"


def lose_bytes(path, synced, rng):
    """Whatever is after the synced bytes: a beginning, zeroes, or pages of both."""
    with open(path, "rb") as file:
        data = bytearray(file.read())
    how = rng.choice(["all", "none", "piece", "pages", "zeroes", "piece, zeroes", "pages, zeroes"])
    end = rng.randint(synced, len(data))
    if how == "none":
        del data[synced:]
    elif how == "piece":
        del data[end:]
    elif how == "pages":
        del data[max(synced, end // PAGE * PAGE):]
    elif how == "zeroes":
        data[synced:] = bytes(len(data) - synced)
    elif how == "piece, zeroes":
        data[end:] = bytes(len(data) - end)
    elif how == "pages, zeroes":
        for page in range(synced // PAGE * PAGE, len(data), PAGE):
            if rng.random() < 0.5:
                first, last = max(synced, page), min(page + PAGE, len(data))
                data[first:last] = bytes(last - first)
        if rng.random() < 0.5:
            del data[end:]
    with open(path, "wb") as file:
        file.write(data)
    return how


def main():
    directory, ledger, grave, seed = sys.argv[1:]
    rng = random.Random(int(seed))
    synced, pending = replay(ledger) if os.path.exists(ledger) else ({}, [])
    done = list(lose_names(directory, grave, pending, rng))
    for name in sorted(os.listdir(directory)):
        path = os.path.join(directory, name)
        status = os.stat(path)
        kept = synced.get(status.st_ino, status.st_size)
        if os.path.isfile(path) and kept < status.st_size:
            done.append(f"{name} {kept} of {status.st_size} synced: {lose_bytes(path, kept, rng)}")
    for name in os.listdir(grave):
        os.unlink(os.path.join(grave, name))
    open(ledger, "w", encoding="utf-8").close()
    print("; ".join(done) or "nothing lost")


main()
