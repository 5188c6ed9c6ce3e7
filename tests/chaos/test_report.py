"""What is said about a run."""

import json

from chaos.facts import Facts
from chaos.oracles import Finding
from chaos.plan import Move, Round
from chaos.report import Played, Report, new_findings
from tests.chaos.facts import GOOD

LOST = Finding("O1", "job x was accepted and is not there.")
PLAN = Round(1, 7, 5, (Move(0.5, "wipe-redis", 3),))


def test_a_good_round_is_one_line():
    played = Played(PLAN, steps=["wipe-redis: 12 keys"], seconds=4.0, healing_seconds=1.5)

    assert played.line() == "round   1    4.0 s, healing  1.5 s  wipe-redis: 12 keys"


def test_what_was_found_stands_below_its_round():
    played = Played(PLAN, missing="not running: web", findings=[LOST])

    assert "not healed" in played.line()
    assert "VIOLATED O1: job x was accepted and is not there." in played.line()
    assert "not running: web" in played.line()


def test_facts_add_up_and_are_found_once():
    other = Finding("O2", "job x was started 2 times, 1 allowed.")

    assert new_findings([LOST], [LOST, other]) == [other]


def test_the_figures_tell_what_happened():
    report = Report(7, [Played(PLAN, healing_seconds=1.5)])

    report.count(GOOD, {"answers lost": 1})

    assert report.figures["jobs"] == {"completed": 2, "cancelled": 1}
    assert report.figures["jobs accepted"] == 3
    assert report.figures["starts"] == 4
    assert report.figures["started again"] == 1
    assert report.figures["attempts charged"] == 1
    assert report.figures["oldest check before an interrupt, ms"] == 10.0
    assert "2 completed, 1 cancelled" in report.summary()
    assert report.summary().endswith("seed 7: The promise was kept.")


def test_a_broken_promise_is_the_last_word(tmp_path):
    report = Report(7, [Played(PLAN, findings=[LOST])])
    report.count(Facts(), {})

    report.write(tmp_path / "report.json")

    assert report.summary().endswith("seed 7: THE PROMISE WAS BROKEN.")
    written = json.loads((tmp_path / "report.json").read_text())
    assert written["rounds"][0]["findings"] == [{"oracle": "O1", "text": LOST.text}]
    assert written["rounds"][0]["plan"]["moves"][0]["step"] == "wipe-redis"
