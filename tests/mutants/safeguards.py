"""The safeguards, how each is taken away, and the test that must fail then.

A row is the fault's number in docs/reliability.md. A change names a text that stands exactly once
in a file, and what stands there instead: the smallest that leaves the rest as it is.
"""

from pathlib import Path
from typing import NamedTuple

UNIT = "tests/unit"
FAULTS = "tests/simulation/test_faults.py::"
NETWORK = "tests/integration"
STORE = "tests/unit/store/test_sqlite.py::"
CONTRACT = "tests/contract/test_store.py::"


class Change(NamedTuple):
    """A piece of a file, and what stands in its place."""

    file: str
    text: str
    instead: str

    def apply_in(self, tree: Path) -> None:
        """Change the file in a copy of the tree. Raises `LookupError` if the text is not there."""
        path = tree / self.file
        whole = path.read_text(encoding="utf-8")
        count = whole.count(self.text)
        if count != 1:
            raise LookupError(
                f"{self.file} has this {count} times, not once; bring it up to date: {self.text!r}"
            )
        path.write_text(whole.replace(self.text, self.instead), encoding="utf-8")


class Safeguard(NamedTuple):
    """Something that keeps a fault from doing harm."""

    row: int
    name: str
    test: str
    changes: tuple[Change, ...]


def without(row: int, name: str, test: str, *changes: tuple[str, str, str]) -> Safeguard:
    """Return a safeguard; each of `changes` is file, text, and what stands instead."""
    return Safeguard(row, name, test, tuple(Change(*change) for change in changes))


SAFEGUARDS = (
    # Calls and retries
    without(
        1,
        "what failed at a worker goes to another",
        FAULTS + "test_rows_6_and_7_what_failed_at_one_worker_goes_to_another",
        ("engine/retry.py", "        attempts.avoid.add(worker)\n", ""),
    ),
    without(
        2,
        "the first failover is at once",
        FAULTS + "test_rows_2_and_3_what_a_worker_dies_with_goes_to_another_at_once",
        (
            "engine/retry.py",
            "if failures <= 1:\n            return 0.0",
            "if failures < 1:\n            return 0.0",
        ),
        ("engine/retry.py", "2.0 ** min(failures - 2, 30)", "64.0"),
    ),
    without(
        4,
        "a call has a time-out",
        FAULTS + "test_row_4_a_call_that_is_not_answered_is_given_up",
        (
            "engine/dispatcher.py",
            "worker.url, body, self._settings.call_timeout_s",
            "worker.url, body, 3600.0",
        ),
    ),
    without(
        4,
        "an operation is delivered once, whoever answers too",
        UNIT + "/test_calls.py::test_of_two_answers_to_an_operation_the_first_one_counts",
        (
            "engine/calls.py",
            "wanted = [came for came in own if awaited[came[0]]]",
            "wanted = list(own)",
        ),
    ),
    without(
        5,
        "what is late is asked for elsewhere",
        FAULTS + "test_row_5_what_is_late_is_asked_for_elsewhere",
        (
            "engine/dispatcher.py",
            "        task.add_done_callback(self._over)\n        self._hedge_later()",
            "        task.add_done_callback(self._over)",
        ),
    ),
    without(
        5,
        "no more than a share is asked for twice",
        FAULTS + "test_row_5_no_more_than_a_share_is_asked_for_twice",
        (
            "engine/dispatcher.py",
            "if not late or not self._hedging.spend(len(late)):",
            "if not late:",
        ),
    ),
    without(
        5,
        "two copies of an operation are enough",
        FAULTS + "test_row_32_poison_kills_three_workers_and_no_more_when_it_takes_its_time",
        (
            "engine/dispatcher.py",
            "return lane.awaits(operation) and not (attempts and (attempts.copies or attempts.deaths))",
            "return lane.awaits(operation)",
        ),
    ),
    without(
        6,
        "a busy worker costs no attempt",
        UNIT + "/test_retry.py::test_a_busy_worker_costs_no_attempt",
        ("engine/retry.py", "if isinstance(error, Refused) and error.busy:", "if False:"),
    ),
    without(
        6,
        "a worker can ask for two seconds of rest at the most",
        FAULTS + "test_row_6_no_worker_can_ask_for_a_rest_of_an_hour",
        ("engine/pool.py", "BUSY_MAX_S = 2.0", "BUSY_MAX_S = 3600.0"),
    ),
    without(
        6,
        "retries have a budget, and it is kept",
        FAULTS + "test_row_6_retries_are_a_share_of_what_is_in_flight",
        (
            "engine/dispatcher.py",
            "budget = self._policy.allowance(self._in_flight) - self._retries_in_flight",
            "budget = limit",
        ),
    ),
    without(
        6,
        "an operation is given up after its attempts",
        FAULTS + "test_an_operation_that_fails_everywhere_is_given_up_after_its_attempts",
        (
            "engine/retry.py",
            "if attempts.failures >= self._settings.attempts:",
            "if attempts.failures > self._settings.attempts:",
        ),
    ),
    # What counts as an answer
    without(
        7,
        "no more of a reply is read than there may be",
        NETWORK + "/test_misbehaving_workers.py::test_a_flood_is_cut_off",
        (
            "engine/transport.py",
            "MAX_REPLY_BYTES = 10 * 1024 * 1024",
            "MAX_REPLY_BYTES = 1000 * 1024 * 1024",
        ),
    ),
    without(
        7,
        "a reply that is cut short is none",
        NETWORK + "/test_outbound.py::test_what_is_no_reply_or_half_of_one_is_none",
        ("engine/outbound.py", " and _ends_with_connection(question.received)", ""),
    ),
    without(
        7,
        "what comes behind a reply is no part of it",
        NETWORK
        + "/test_outbound.py::test_a_connection_is_not_used_again_when_it_cannot_be_trusted",
        (
            "engine/outbound.py",
            "            self._received = Received(0)  # for what comes behind it\n",
            "",
        ),
    ),
    without(
        7,
        "what comes unasked is not taken for the answer to what is asked next",
        NETWORK + "/test_outbound.py::test_a_connection_on_which_something_comes_unasked_is_closed",
        ("engine/outbound.py", "            self.drop()  # nothing was asked\n", ""),
    ),
    without(
        7,
        "no redirect is followed",
        UNIT + "/client/test_api.py::test_redirects_are_not_followed",
        ("engine/client/api.py", "FOLLOWLOCATION: False", "FOLLOWLOCATION: True"),
    ),
    without(
        8,
        "a number that is none is no result",
        UNIT + "/test_exchange.py::test_what_cannot_be_read_as_an_answer_is_a_broken_reply",
        (
            "engine/messages.py",
            "        plain = json.loads(body.decode(), parse_constant=_refuse, parse_float=_finite)\n",
            "        plain = json.loads(body.decode())\n",
        ),
        (
            "engine/messages.py",
            '            if "Integer value out of range" not in str(error):\n                raise\n',
            "            pass\n",
        ),
        (
            "engine/messages.py",
            "        except msgspec.ValidationError as error:\n",
            "        except msgspec.DecodeError:\n",
        ),
    ),
    without(
        9,
        "an answer echoes what was asked",
        UNIT + "/test_exchange.py::test_an_answer_to_another_question_is_foreign",
        (
            "engine/exchange.py",
            "if one.operation != name or (one.op1, one.op2) != operands:",
            "if one.operation != name:",
        ),
    ),
    without(
        9,
        "an answer to another question counts threefold",
        FAULTS + "test_row_9_an_answer_to_another_question_is_enough_to_be_examined_again",
        ("engine/pool.py", "FOREIGN_FAULTS = 3", "FOREIGN_FAULTS = 1"),
    ),
    without(
        10,
        "a job that comes whole may have failed",
        UNIT
        + "/test_pipeline.py::test_a_job_that_comes_whole_ends_and_is_traced_as_one_that_comes_by_parts",
        ("engine/pipeline.py", " or OperationFailed in map(type, results.values())", ""),
    ),
    without(
        10,
        "an array is answered in its order",
        UNIT + "/test_exchange.py::test_an_array_that_does_not_match_is_worth_nothing",
        (
            "engine/exchange.py",
            "is_answer = item.operation == step.name and item.op1 == op1 and item.op2 == op2",
            "is_answer = item.operation == step.name",
        ),
    ),
    without(
        11,
        "a worker is examined before its first operation",
        FAULTS + "test_row_11_a_worker_that_computes_in_floats_is_rejected",
        ("engine/health.py", "elif self._settings.examine:", "elif False:"),
    ),
    without(
        11,
        "an examination looks at the type, too",
        UNIT + "/test_examination.py::test_a_whole_quotient_that_is_no_float_is_wrong",
        ("engine/examination.py", "bits(result) == bits(expected)", "result == expected"),
    ),
    without(
        11,
        "who stands alone is not believed",
        FAULTS + "test_row_11_no_job_believes_a_worker_that_lies_after_its_examination",
        (
            "engine/verification.py",
            "        if result is None:\n            return None\n",
            "        if result is None:\n            result = said\n",
        ),
    ),
    without(
        11,
        "who lied is rejected",
        FAULTS + "test_row_11_the_reason_names_the_call_and_the_liar_stays_out",
        ("engine/dispatcher.py", "if self._pool.reject(liar, lie, now) is not None:", "if False:"),
    ),
    without(
        11,
        "who lied stays out, whatever its next examination says",
        FAULTS + "test_row_11_the_reason_names_the_call_and_the_liar_stays_out",
        (
            "engine/pool.py",
            "worker.readmit_at = worker.probe_at = now + self._settings.forget_s",
            "worker.readmit_at = worker.probe_at = now + 1.0",
        ),
    ),
    without(
        11,
        "a job that believed a liar starts afresh",
        FAULTS + "test_row_11_an_unfinished_job_that_believed_a_liar_starts_afresh",
        ("engine/dispatcher.py", "            self._lanes[job_id].spoil()\n", "            pass\n"),
    ),
    # Workers and the pool
    without(
        12,
        "an announcement alone makes no worker live",
        FAULTS + "test_row_12_a_partition_is_seen_by_probes_and_heals_by_itself",
        (
            "engine/standing.py",
            "    State.DEAD: {\n",
            "    State.DEAD: {\n        Event.ANNOUNCED: State.LIVE,\n",
        ),
    ),
    without(
        12,
        "a worker that is not live has no places",
        UNIT + "/test_pool.py::test_a_broken_call_makes_suspect_at_once_and_probes_at_once",
        (
            "engine/pool.py",
            "            self._drop_places(worker)\n            self._live[worker.operations] -= 1",
            "            self._live[worker.operations] -= 1",
        ),
    ),
    without(
        20,
        "calls that a sleeping master gave up blame nobody",
        FAULTS + "test_row_20_a_master_that_slept_blames_nobody",
        (
            "engine/dispatcher.py",
            "if self._wakefulness.slept_since(call.sent_at, now):",
            "if False:",
        ),
    ),
    without(
        20,
        "probes that a sleeping master gave up blame nobody",
        FAULTS + "test_row_20_probes_of_a_master_that_slept_blame_nobody",
        ("engine/health.py", "if self._wakefulness.slept_since(started, now):", "if False:"),
    ),
    without(
        20,
        "who is asked after the sleep is not excused by it",
        UNIT + "/test_wakefulness.py::test_who_is_asked_after_the_sleep_is_not_excused_by_it",
        (
            "engine/wakefulness.py",
            "        self.look(now)\n        gap",
            "        self._naps.append((now, now - self._beat_at))\n        gap",
        ),
    ),
    without(
        20,
        "several naps are sleep together",
        UNIT + "/test_wakefulness.py::test_several_naps_are_sleep_together",
        (
            "engine/wakefulness.py",
            "return slept_s >",
            "return max(slept_s / 2, self._nap_s(now)) >",
        ),
    ),
    without(
        1,
        "where no connection could be made nothing was tried",
        UNIT + "/test_retry.py::test_a_worker_that_cannot_be_connected_to_costs_no_attempt",
        (
            "engine/retry.py",
            "            attempts.unreached += 1\n",
            "            attempts.failures += 1\n",
        ),
    ),
    without(
        11,
        "the rejected that are gone are asked as rarely as the dead",
        UNIT
        + "/test_pool.py::test_a_rejected_worker_that_is_gone_is_asked_as_rarely_as_a_dead_one",
        (
            "engine/pool.py",
            "in (State.DEAD, State.REJECTED):\n            worker.probe_at",
            "in (State.DEAD,):\n            worker.probe_at",
        ),
    ),
    without(
        26,
        "what was cancelled waits for no worker any more",
        FAULTS + "test_row_26_what_was_cancelled_waits_for_no_worker_any_more",
        ("engine/dispatcher.py", "            self._again.drop(lane)\n", ""),
    ),
    without(
        35,
        "calls to quick workers are bounded",
        FAULTS + "test_of_many_quick_workers_no_more_are_called_than_keep_the_master_busy",
        (
            "engine/dispatcher.py",
            "if self._quick_calls >= QUICK_CALLS and self._pool.is_quick(worker):",
            "if False:",
        ),
    ),
    without(
        35,
        "turns are short while a small job is in hand",
        UNIT + "/test_core.py::test_turns_are_short_while_a_small_job_is_in_hand_and_only_then",
        (
            "engine/turns.py",
            "            return SHORT_ROOM\n        return ROOM",
            "            pass\n        return ROOM",
        ),
    ),
    without(
        35,
        "the loop gives way to the store's thread",
        UNIT + "/store/test_sqlite.py::test_the_loop_gives_way_to_the_thread_until_it_has_answered",
        (
            "engine/store/sqlite.py",
            "        self._groups.put(group)\n        self._give_way_soon()",
            "        self._groups.put(group)",
        ),
    ),
    without(
        35,
        "a new job is held back for its outcome for a moment only",
        UNIT + "/store/test_sqlite.py::test_a_new_job_is_held_back_for_a_moment_only",
        (
            "engine/store/sqlite.py",
            "self._loop.call_later(HELD_S, self._hand_over_now)",
            "self._loop.call_later(1e6, self._hand_over_now)",
        ),
    ),
    without(
        14,
        "an answer that goes with its job is told of under whatever id",
        UNIT + "/test_headstart.py"
        "::test_an_answer_that_goes_with_its_job_is_that_job_s_whatever_id_it_gets",
        (
            "engine/core.py",
            "                self._outcomes.tell(job)\n            self._admission",
            "                pass\n            self._admission",
        ),
    ),
    without(
        16,
        "jobs are taken up after a read that failed",
        UNIT + "/test_core.py::test_jobs_that_cannot_be_read_now_are_taken_up_later",
        (
            "engine/core.py",
            "                self._admission.behind = True  # as before: they are to be read yet\n",
            "",
        ),
    ),
    without(
        14,
        "every commit is synced",
        UNIT + "/store/test_sqlite.py::test_every_commit_is_synced",
        ("engine/store/database.py", "PRAGMA synchronous = FULL", "PRAGMA synchronous = NORMAL"),
    ),
    without(
        16,
        "whether there is room again is tried",
        FAULTS + "test_row_16_a_master_whose_disk_is_full_is_not_ready_until_there_is_room",
        (
            "engine/core.py",
            "                    await self._store.look()\n",
            "                    pass\n",
        ),
    ),
    without(
        24,
        "the pool is bounded",
        FAULTS + "test_row_24_the_pool_is_bounded",
        ("engine/pool.py", "if len(self._workers) < self._settings.max:", "if True:"),
    ),
    without(
        24,
        "nobody elsewhere announces the master's own host",
        UNIT + "/test_address.py::test_an_address_where_no_worker_can_be_is_refused",
        ("engine/address.py", "if ip.is_loopback and not _plain(peer).is_loopback:", "if False:"),
    ),
    without(
        24,
        "an announcement needs the token",
        NETWORK
        + "/test_announcements.py::test_with_a_token_set_an_announcement_without_it_is_unauthorized",
        (
            "engine/web.py",
            "return not token or hmac.compare_digest(said.encode(), expected.encode())",
            "return True",
        ),
    ),
    without(
        31,
        "a worker that took leave gets nothing new",
        UNIT
        + "/test_pool.py::test_a_worker_that_takes_leave_gets_nothing_new_and_goes_when_it_has_finished",
        (
            "engine/standing.py",
            "        Event.FAULTED: State.CANDIDATE,\n        Event.LIED: State.REJECTED,\n        Event.LEFT: State.DRAINING,\n    },\n    State.SUSPECT",
            "        Event.FAULTED: State.CANDIDATE,\n        Event.LIED: State.REJECTED,\n    },\n    State.SUSPECT",
        ),
    ),
    without(
        31,
        "a worker on its way out computes nothing more",
        NETWORK + "/test_worker.py::test_a_worker_on_its_way_out_computes_nothing_more",
        (
            "engine/worker/app.py",
            "if self.state.draining:\n            raise",
            "if False:\n            raise",
        ),
    ),
    without(
        32,
        "poison fails its job after three deaths",
        FAULTS + "test_row_32_a_poison_operation_kills_three_workers_and_no_innocent_job",
        (
            "engine/retry.py",
            "if self._is_poison(attempts, live):",
            "if False:",
        ),
    ),
    without(
        32,
        "where there are fewer than three workers, they count again",
        FAULTS + "test_row_32_poison_is_found_where_there_are_fewer_than_three_workers",
        (
            "engine/retry.py",
            "return different + others < self._settings.poison_deaths",
            "return False",
        ),
    ),
    without(
        32,
        "what a worker died of was aboard, on a kept connection too",
        NETWORK + "/test_transport.py::test_a_worker_that_died_of_a_call_had_it_aboard",
        (
            "engine/transport.py",
            " or (failure.cause is Cause.UNCONNECTED and failure.sent):",
            ":",
        ),
    ),
    without(
        32,
        "what may be poison travels alone",
        FAULTS + "test_row_32_nothing_travels_beside_what_may_be_poison",
        (
            "engine/dispatcher.py",
            "                self._pool.reserve(worker)\n",
            "                pass\n",
        ),
    ),
    without(
        33,
        "a worker in a crash loop is readmitted later each time",
        FAULTS + "test_row_33_a_worker_in_a_crash_loop_is_readmitted_less_and_less_often",
        (
            "engine/pool.py",
            "worker.readmit_at = now + min(wait, self._settings.readmit_max_s)",
            "worker.readmit_at = now",
        ),
    ),
    # The record
    without(
        14,
        "what is acknowledged is committed",
        STORE + "test_a_process_that_is_killed_loses_nothing_that_it_acknowledged",
        (
            "engine/store/database.py",
            "            connection.execute(statement, values)\n        except",
            '            if not connection.in_transaction:\n                connection.execute("BEGIN IMMEDIATE")\n            connection.execute(statement, values)\n        except',
        ),
    ),
    without(
        14,
        "a job is shown as finished when its outcome is durable",
        FAULTS + "test_rows_14_and_15_a_finished_job_never_changes",
        (
            "engine/outcomes.py",
            "        are_first = await ask(lambda: self._store.finish(outcomes, now))\n",
            "        storing = ask(lambda: self._store.finish(outcomes, now))\n"
            "        self.tasks.add(asyncio.create_task(storing))\n"
            "        are_first = [True] * len(decided)\n",
        ),
    ),
    without(
        14,
        "an outcome is set once",
        CONTRACT + "test_an_outcome_is_set_once_and_never_changes",
        (
            "engine/store/transaction.py",
            "INSERT INTO outcomes VALUES {}",
            "INSERT OR REPLACE INTO outcomes VALUES {}",
        ),
        (
            "engine/store/transaction.py",
            "open_jobs = self._unfinished([row[0] for finish in finishes for row in finish.rows])",
            "open_jobs: set[int] = {row[0] for finish in finishes for row in finish.rows}",
        ),
    ),
    without(
        14,
        "ids are never used again",
        STORE + "test_numbers_are_not_used_again_after_all_jobs_are_forgotten_and_a_restart",
        (
            "engine/store/database.py",
            "(SELECT job_id FROM last_job)",
            "(SELECT coalesce(max(job_id), 0) FROM jobs)",
        ),
    ),
    without(
        14,
        "no outcome before the record has the job",
        UNIT + "/test_headstart.py::test_a_result_never_becomes_the_answer_of_another_job",
        (
            "engine/core.py",
            "                job = await head_start.recorded\n",
            "",
        ),
    ),
    without(
        16,
        "what the record refused is no longer computed",
        UNIT + "/test_headstart.py::test_what_the_record_refuses_has_never_been",
        (
            "engine/core.py",
            "                except BaseException:\n                    self._give_up(head_start)\n                    raise\n",
            "                except BaseException:\n                    raise\n",
        ),
    ),
    without(
        16,
        "a job that got another id than was foretold begins afresh",
        UNIT + "/test_headstart.py::test_a_job_that_got_another_id_than_was_foretold_begins_afresh",
        ("engine/core.py", "if head_start.job_id != job.job_id or head_start", "if head_start"),
    ),
    without(
        27,
        "jobs that began ahead take no more room than there is",
        UNIT + "/test_headstart.py::test_no_more_jobs_run_than_there_is_room_for",
        (
            "engine/admission.py",
            " != self._taken + 1 or not self._has_place:",
            " != self._taken + 1:",
        ),
    ),
    without(
        16,
        "a commit that failed is final",
        STORE + "test_a_commit_that_fails_is_final",
        (
            "engine/store/database.py",
            "self.broken = self.broken or _primary_code(error) != sqlite3.SQLITE_FULL",
            "pass",
        ),
    ),
    without(
        16,
        "a full disk is not final",
        STORE + "test_only_a_full_disk_may_fail_a_commit_without_breaking_the_store",
        (
            "engine/store/database.py",
            "self.broken = self.broken or _primary_code(error) != sqlite3.SQLITE_FULL",
            "self.broken = True",
        ),
    ),
    without(
        16,
        "an outcome that the record cannot take now is offered again",
        UNIT + "/test_outcomes.py::test_what_cannot_be_written_now_is_written_when_it_can",
        (
            "engine/outcomes.py",
            "            except StoreError as error:",
            "            except OSError as error:",
        ),
    ),
    without(
        16,
        "an outcome that can never be written keeps no other one from the record",
        UNIT + "/test_outcomes.py::test_what_can_never_be_written_keeps_nothing_else_from_it",
        ("engine/outcomes.py", "            if len(decided) == 1:", "            if True:"),
    ),
    without(
        16,
        "a master whose disk failed exits with 70",
        "tests/chaos/test_processes.py::test_16_a_write_that_fails_ends_the_master_and_loses_nothing",
        ("master.py", "        return store_failed()\n", "        return 0\n"),
    ),
    without(
        17,
        "a second master is locked out",
        STORE + "test_a_second_master_is_refused_and_told_who_is_there",
        (
            "engine/store/lock.py",
            "            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n",
            "",
        ),
    ),
    without(
        17,
        "no other program gets into the record",
        STORE + "test_no_other_program_gets_into_an_open_record",
        (
            "engine/store/database.py",
            "PRAGMA locking_mode = EXCLUSIVE",
            "PRAGMA locking_mode = NORMAL",
        ),
    ),
    without(
        18,
        "a damaged record is not opened",
        STORE + "test_a_damaged_record_is_refused_and_left_as_it_is",
        ("engine/store/database.py", 'if finding != "ok":', "if False:"),
    ),
    without(
        29,
        "one key is one job",
        CONTRACT + "test_the_same_key_and_body_give_the_same_job_again",
        (
            "engine/store/transaction.py",
            "if new.key is not None and new.key in known:",
            "if False:",
        ),
    ),
    without(
        29,
        "a key that comes with another body is refused",
        CONTRACT + "test_a_key_with_another_body_is_refused_and_nothing_is_added",
        (
            "engine/store/transaction.py",
            "if fingerprints.setdefault(new.key, first) != new.fingerprint:",
            "if False:",
        ),
    ),
    without(
        30,
        "a master told to stop lets calls in flight finish",
        FAULTS + "test_row_30_a_master_told_to_stop_finishes_the_calls_in_flight",
        (
            "engine/master/assembly.py",
            "await self.dispatcher.drain(self.settings.drain_s)",
            "await self.clock.sleep(0)",
        ),
    ),
    without(
        30,
        "a master on its way out takes nothing new",
        NETWORK
        + "/test_clients.py::test_a_master_on_its_way_out_takes_nothing_new_and_answers_all_else",
        (
            "engine/core.py",
            "        if self._draining:\n            return Draining",
            "        if False:\n            return Draining",
        ),
    ),
    # Clients
    without(
        27,
        "unfinished jobs are bounded, and 503 says when to come back",
        NETWORK
        + "/test_clients.py::test_over_the_bound_of_unfinished_jobs_a_submit_is_told_when_to_come_back",
        ("engine/core.py", "if unfinished + len(new) > self._limits.unfinished_jobs:", "if False:"),
    ),
    without(
        34,
        "connections over the bound are closed",
        NETWORK + "/test_framing.py::test_a_connection_over_the_bound_is_closed_without_a_word",
        ("engine/server.py", "if len(self.connections) >= self._max_connections:", "if False:"),
    ),
    without(
        34,
        "the kernel has room for all files before there are threads",
        "tests/chaos/test_processes.py::test_34_the_table_of_open_files_has_room_for_all_from_the_start",
        (
            "engine/roof.py",
            "        os.close(fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, most - 1))\n",
            "        pass\n",
        ),
    ),
    without(
        35,
        "jobs take turns in the queue",
        UNIT
        + "/test_fairqueue.py::test_a_small_job_behind_a_large_one_is_served_in_the_next_round",
        (
            "engine/fairqueue.py",
            "            if batches:\n                owners.append(owner)",
            "            if batches:\n                owners.appendleft(owner)",
        ),
    ),
    without(
        36,
        "half a body is waited for so long, and no longer",
        NETWORK + "/test_server.py::test_who_sends_half_a_body_is_told_that_it_was_waited_for",
        (
            "engine/server.py",
            "in self.waits.in_vain(now):",
            "in []:",
        ),
    ),
    without(
        0,
        "what is refused unread is read on, so that the refusal is seen",
        NETWORK
        + "/test_refused_early.py::test_who_sends_too_much_is_told_so_and_how_much_it_may_send",
        ("engine/inbound.py", "self._transport.write_eof()", "self._transport.close()"),
    ),
    without(
        36,
        "who reads no answer is not read",
        NETWORK + "/test_inbound.py::test_who_reads_no_answer_is_not_read_either",
        ("engine/inbound.py", "and not self._leaving and", "and"),
    ),
    without(
        36,
        "who sends on before it is answered is not read on",
        NETWORK + "/test_inbound.py::test_who_sends_on_before_it_is_answered_is_not_read_for_ever",
        (
            "engine/inbound.py",
            "if (self._parser.unread_bytes > UNREAD_BYTES) != self._is_paused:",
            "if False:",
        ),
    ),
    without(
        36,
        "what belongs to no body has an end",
        NETWORK + "/test_inbound.py::test_what_has_no_end_is_refused",
        ("engine/requestparser.py", "if self._uncounted > 2 * MAX_HEADER_BYTES:", "if False:"),
    ),
    without(
        0,
        "a body is read although its request asks for another protocol",
        NETWORK + "/test_inbound.py::test_who_would_rather_speak_something_else_is_served_in_http",
        ("engine/requestparser.py", "if incoming.framing and", "if False and"),
    ),
    without(
        0,
        "nobody writes a header of an answer but its handler",
        NETWORK + "/test_inbound.py::test_a_header_of_an_answer_is_one_line",
        (
            "engine/responder.py",
            'if not head.count("\\r") == head.count("\\n") == len(lines) - 1:',
            "if False:",
        ),
    ),
    without(
        36,
        "who stops reading an answer is cut off",
        NETWORK + "/test_server.py::test_who_stops_reading_an_answer_is_cut_off_without_a_word",
        ("engine/server.py", "if count is not None", "if False"),
    ),
    without(
        37,
        "nothing runs without assertions",
        NETWORK + "/test_worker.py::test_without_assertions_neither_program_starts",
        ("engine/roof.py", "if sys.flags.optimize", "if False"),
    ),
    without(
        0,
        "pages of other sites cannot submit",
        NETWORK + "/test_clients.py::test_a_request_across_sites_is_refused",
        (
            "engine/master/handlers.py",
            "if not self._is_by_own_page():",
            "if False:",
        ),
    ),
    without(
        0,
        "a body is strict UTF-8",
        NETWORK + "/test_bad_input.py::test_what_is_no_json_is_refused_by_the_master",
        (
            "engine/messages.py",
            '        if not body.isascii():\n            str(body, "utf-8")\n',
            "",
        ),
    ),
    without(
        0,
        "a digit is an ASCII digit",
        NETWORK
        + "/test_bad_input.py::test_a_task_that_is_no_expression_is_refused_with_its_column",
        ("engine/expression/tokens.py", "(?: [0-9]+ (?: ", r"(?: \d+ (?: "),
    ),
    without(
        0,
        "a great many brackets are read in pieces",
        UNIT + "/expression/test_parser.py::test_whatever_a_text_looks_like_it_is_read_in_pieces",
        (
            "engine/expression/tokens.py",
            '_CLOSING = rf"[)\\ \\t\\n\\r]{{0,{LONGEST}}}"',
            '_CLOSING = r"[)\\ \\t\\n\\r]*"',
        ),
    ),
    without(
        0,
        "a task has a bound",
        NETWORK + "/test_bad_input.py::test_a_task_over_its_limit_is_too_large",
        (
            "engine/planner.py",
            "        if len(task) > self._task_bytes or (",
            "        if False and (",
        ),
    ),
    without(
        38,
        "a worker is asked only for what it takes",
        FAULTS + "test_row_38_a_dedicated_worker_is_asked_for_nothing_else_however_much_waits",
        ("engine/fusion.py", "            if name not in takes:\n                continue\n", ""),
    ),
    without(
        0,
        "what a failed call leaves is freed without being looked for",
        NETWORK + "/test_garbage.py::test_a_call_that_fails_leaves_nothing",
        (
            "engine/outbound.py",
            "            del over, question  # else a failure would keep this frame, and this frame"
            " the failure\n",
            "",
        ),
    ),
    without(
        0,
        "reference cycles are looked for in the end",
        UNIT + "/test_collector.py::test_a_load_that_never_ceases_does_not_put_it_off_for_ever",
        (
            "engine/collector.py",
            "(ALL_EVERY_S if idle else 2 * ALL_EVERY_S)",
            "ALL_EVERY_S and idle",
        ),
    ),
    without(
        0,
        "a look for cycles waits until the loop is idle now, too",
        UNIT + "/test_collector.py::test_a_load_that_has_just_begun_is_work",
        ("engine/collector.py", "idle = quiet and ", "idle = "),
    ),
    without(
        0,
        "planning many tasks takes as much room as their text",
        UNIT + "/test_planner.py::test_of_tasks_that_are_planned_at_once_each_takes_its_room",
        ("engine/planner.py", "take(characters // CHARACTERS)", "take(PIECE)"),
    ),
    without(
        0,
        "half an answer is not taken for a whole one",
        NETWORK + "/test_site.py::test_half_an_answer_is_not_taken_for_a_whole_one",
        ("engine/web.py", "if self.has_begun:", "if False:"),
    ),
    without(
        0,
        "nobody takes back a request that has become another's",
        NETWORK + "/test_transfers.py::test_everybody_gets_the_answer_to_what_was_asked",
        ("engine/client/transfers.py", "if handle.over is over:", "if handle.over is not None:"),
    ),
    without(
        0,
        "a time-out that comes sooner than the others is not missed",
        NETWORK + "/test_transfers.py::test_everybody_waits_as_long_as_he_said_and_no_longer",
        (
            "engine/client/transfers.py",
            "self._timer is not None and self._timer.when() <= self._due",
            "self._timer is not None",
        ),
    ),
)
