"""A reader that answers as fast as the study takes it, and tells each acknowledgement: ``FOLDER READER``.

Run as a program, and killed by the tests. The database's URL comes from the environment, as for the server.
"""

import sys
import time
import uuid
from pathlib import Path

from percuss.study.answering import save_answer
from percuss.study.answers import Sent
from percuss.study.opening import open_study
from percuss.study.standing import place, standing

#: Answers in one life.
LIFE = 25


def answer(study, reader, number):
    """The answer to a place: the same whenever it is sent, as from a browser that kept it."""
    body = {"task": "diagnosis", "label": ("normal", "tumour")[number % 2], "confidence": 1 + number % 5}
    return Sent.model_validate(
        {"id": id_of(reader, number), "trial": place(study, reader, number).token, "answer": body}
    )


def id_of(reader, number):
    """The id that the browser of this reader draws for a place."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{reader} {number}"))


def main(folder, reader):
    """Send the last answer again, whose reply may be lost, go on from there for a while, and wait to be killed."""
    study = open_study(Path(folder))
    stands = standing(study, reader)
    print("ready", flush=True)
    first = max(stands.done, 1)
    for number in range(first, first + LIFE):
        saved = save_answer(study, reader, answer(study, reader, number))
        print(saved.number, saved.version, flush=True)
    time.sleep(600)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
