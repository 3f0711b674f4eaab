"""The plan of a job: its operations, and what each one waits for. Pure.

An operation is a number, its place in the order in which Python would compute them, and all that
is known of it stands in flat lists under that number; it becomes an object only when both its
operands are known. A result goes straight to where it is awaited: to one side of one operation.
So of two unrelated operations that fail, Python would meet the one with the smaller number first.

Integers rebalance: exact addition and multiplication are associative, so a run of them over
operands that are known to be integers is grouped as a tree, in which many can be computed at the
same time. The operations keep their numbers, columns and count. Floats, divisions, and whatever
might exceed the digits that an integer may have, keep the order of the text.
"""

from array import array
from collections.abc import Generator, Mapping, MutableSequence, Sequence

from engine.arithmetic import failure_of
from engine.errors import OperationFailed
from engine.expression.operations import NOWHERE, Expression
from engine.fusion import Fusion
from engine.job import Number, Operation

OPEN, DONE, DOOMED = range(3)  # doomed is what waits for something that failed

SAFE_BITS = 14_284  # 2**14_284 has 4,300 digits: an integer up to it is within the limit
UNBOUNDED = SAFE_BITS + 1  # no integer for certain, or maybe one beyond the limit
BLANKS = 32  # blank entries that are as much work as one operation
SHORTEST_RUN = 3  # operations: a run of fewer has nothing to gain

RUNS = {"sum": "additions", "sub": "additions", "mul": "multiplications"}


class Plan:
    """The operations of one expression, and which of them the results so far have made ready.

    The lists of the expression become the plan's own, so that there is one plan of each at most.
    A plan of `balance_from` operations or more has its runs of integers regrouped; 0 never does.
    Its `fusion` says what can travel together; for it, chains of `chain_from` operations are long.

    `names`, `columns` and `parent(index)` describe operation `index` for traces; treat them as
    read-only. A name is what is computed: in a regrouped run it may be the opposite of the sign at
    its column. `answer` is `None` until the plan is finished; a lone literal is finished at once.
    """

    def __init__(
        self, expression: Expression, *, balance_from: int = 0, chain_from: int = 0
    ) -> None:
        self._take_over(expression, chain_from)
        if 0 < balance_from <= len(self):
            for _ in self._balance(len(self)):
                pass

    @classmethod
    def in_pieces(
        cls, expression: Expression, piece: int, *, balance_from: int = 0, chain_from: int = 0
    ) -> Generator[None, None, "Plan"]:
        """Make a plan with a pause after each `piece` operations or so."""
        plan = cls.__new__(cls)
        plan._take_over(expression, chain_from)
        if 0 < balance_from <= len(plan):
            yield from plan._balance(piece)
        return plan

    def _take_over(self, expression: Expression, chain_from: int) -> None:
        self.names = expression.names
        self.columns = expression.columns
        self.answer = expression.value
        self.failure: tuple[int, OperationFailed] | None = None
        self.refused: list[tuple[Operation, OperationFailed]] = []  # failed here, for a trace
        self._operands = expression.operands  # `None` again when they are no longer needed
        self._destinations = expression.destinations
        self._decided = bytearray(len(self.names))  # of each operation: OPEN, DONE or DOOMED
        # Once one has failed: operations from here on do not matter any more; and how many do that
        # are not decided.
        self._cut = len(self.names)
        self._to_come = 0
        self._is_regrouped = False
        lists = self.names, self.columns, self._operands, self._destinations
        self.fusion = Fusion(*lists, chain_from)
        self._ready = expression.ready
        self._handed_out = 0  # of those

    def _balance(self, piece: int) -> Generator[None, None, None]:
        if not (yield from _may_have_runs(self._operands, piece)):
            return
        balancer = _Balancer(self.names, self._operands, self._destinations)
        self._ready = yield from balancer.balance(piece)
        self._is_regrouped = balancer.has_regrouped

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"<Plan: {self.remaining} of {len(self)} operations remain>"

    @property
    def finished(self) -> bool:
        """Whether the plan has its answer, or the failure that it ends with."""
        return self.answer is not None or (self.failure is not None and not self._to_come)

    @property
    def remaining(self) -> int:
        """How many operations are still to be decided."""
        return self._decided.count(OPEN) if self.failure is None else self._to_come

    def parent(self, index: int) -> int | None:
        """Return the operation that waits for the result of `index`, `None` for the last one."""
        destination = self._destinations[index]
        return None if destination == NOWHERE else destination >> 1

    def operands(self, index: int) -> tuple[Number | None, ...]:
        """Return the operands of an operation that has no result, `None` for those not known."""
        return self._operands[2 * index], self._operands[2 * index + 1]

    @property
    def has_ready(self) -> bool:
        """Whether operations are ready from the start that have not been handed out."""
        return self._handed_out < len(self._ready)

    def ready(self, at_most: int | None = None) -> list[Operation]:
        """Hand out, once, operations that are ready from the start, in the order of the text.

        All, or the next `at_most`, without those that divide by zero: they fail here and now.
        Later ones are named by `complete`.
        """
        begin = self._handed_out
        end = len(self._ready) if at_most is None else begin + at_most
        self._handed_out = end
        names, may_divide = self.names, self._may_divide
        ready = self._ready[begin:end]
        return [self.operation(one) for one in ready if names[one] != "div" or may_divide(one)]

    def operation(self, index: int) -> Operation:
        """Return an operation that is ready, as a worker is asked for it."""
        place = 2 * index
        first, second = self._operands[place], self._operands[place + 1]
        assert first is not None and second is not None  # noqa: S101, PT018  # it is ready
        return Operation(index, self.names[index], (first, second), self.columns[index])

    def complete(self, index: int, result: Number | OperationFailed) -> int | None:
        """Record what came of operation `index` and return the operation that it made ready.

        `None` if it made none ready; a division by zero never is, it fails here and now. Raises
        `ValueError`, and changes nothing, if no result of `index` is awaited: there is no such
        operation, it still waits itself, or it was completed before.

        Of one that failed, what Python would compute before it still matters, since it may fail
        too, and then that is the failure to end with; what comes after it does not.
        """
        operands, place = self._operands, 2 * index
        try:
            first, second = operands[place], operands[place + 1]
        except IndexError:
            first = second = None
        if first is None or second is None or index < 0:
            raise ValueError(
                f"no result of operation {index} is awaited: complete each that is ready, once"
            )
        operands[place] = operands[place + 1] = None
        self._decided[index] = DONE
        if isinstance(result, OperationFailed):
            self._fail(index, result)
            return None
        if self.failure is not None:
            self._to_come -= index < self._cut
        destination = self._destinations[index]
        if destination == NOWHERE:
            self.answer = result
            return None
        operands[destination] = result
        if operands[destination ^ 1] is None:
            return None
        waiting = destination >> 1
        if self.names[waiting] == "div" and not self._may_divide(waiting):
            return None
        return waiting

    def complete_whole(self, results: Mapping[int, Number]) -> None:
        """Record the results of all operations at once, when nothing has come of any."""
        self._decided = bytearray((DONE,)) * len(self)
        self.answer = results[self._destinations.index(NOWHERE)]

    def _fail(self, index: int, failure: OperationFailed) -> None:
        if index < self._cut:
            if self.failure is None:
                self._to_come = self._decided.count(OPEN, 0, index)
            else:
                self._to_come -= 1 + self._decided.count(OPEN, index + 1, self._cut)
            self._cut = index
            self.failure = (index, failure)
        # What waits for it has a larger number, and does not matter, but in a run that is a tree.
        waiting = self.parent(index) if self._is_regrouped else None
        while waiting is not None and self._decided[waiting] == OPEN:
            self._decided[waiting] = DOOMED
            self._to_come -= waiting < self._cut
            waiting = self.parent(waiting)

    def _may_divide(self, index: int) -> bool:
        """Return whether a division whose operands are known is ready; if not, fail it at once.

        No worker is ever asked to divide by a known zero: a plain one could only answer 500.
        """
        if self._operands[2 * index + 1] != 0:
            return True
        operation = self.operation(index)
        # An overflow, if the dividend is too large.
        failure = failure_of(operation.name, operation.operands)
        assert failure is not None  # noqa: S101  # a division by zero has no result
        self.refused.append((operation, failure))
        self.complete(index, failure)
        return False


def _may_have_runs(operands: Sequence[Number | None], piece: int) -> Generator[None, None, bool]:
    """Return whether there are integers enough for one, with a pause after `piece` operations."""
    integers = 0
    for start in range(0, len(operands), 2 * piece):
        integers += sum(type(operand) is int for operand in operands[start : start + 2 * piece])
        if integers > SHORTEST_RUN:
            return True
        yield
    return False


class _Balancer:
    """Finds the runs of a plan and regroups them, in the plan's own lists."""

    def __init__(
        self, names: list[str], operands: list[Number | None], destinations: MutableSequence[int]
    ) -> None:
        self._names = names
        self._operands = operands
        self._destinations = destinations
        self.has_regrouped = False  # any run
        self._sources = array("q")  # the operation that each operand comes from

    def balance(self, piece: int) -> Generator[None, None, MutableSequence[int]]:
        """Regroup every run that is long enough; return the operations that are ready then.

        With a pause after each `piece` operations.
        """
        places, step = len(self._operands), BLANKS * piece
        for start in range(0, places, step):
            self._sources += array("q", [NOWHERE]) * min(step, places - start)
            yield
        for index, destination in enumerate(self._destinations):
            if index % piece == piece - 1:
                yield
            if destination != NOWHERE:
                self._sources[destination] = index
        regrouped = 0
        for last, length in (yield from self._runs(piece)):
            yield from self._regroup(last, length, piece)
            self.has_regrouped = True
            regrouped += length
            if regrouped >= piece:
                regrouped = 0
                yield
        ready = array("q")
        for index in range(len(self._names)):
            if index % piece == piece - 1:
                yield
            if self._sources[2 * index] == self._sources[2 * index + 1] == NOWHERE:
                ready.append(index)
        return ready

    def _runs(self, piece: int) -> Generator[None, None, list[tuple[int, int]]]:
        """Return the last operation and the length of each run that can be grouped in any way.

        In a run each operation is the left operand of the next one, all terms are known to be
        integers, and no grouping of them has an intermediate beyond 2**SAFE_BITS.
        """
        lengths = array("q")  # of the run that ends with each operation, 0 if it is in none
        goes_on = bytearray(len(self._names))
        bounds = array("q")  # of each operation: |result| <= 2**bound, or UNBOUNDED
        widest = array("q")  # the largest bound of a term in the run that ends with it
        for index, name in enumerate(self._names):
            if index % piece == piece - 1:
                yield
            left, right = self._bound(2 * index, bounds), self._bound(2 * index + 1, bounds)
            previous = self._sources[2 * index]
            extends = (
                previous != NOWHERE
                and lengths[previous] > 0
                and RUNS[self._names[previous]] == RUNS.get(name)
            )
            length = 1 + (lengths[previous] if extends else 0)
            widest.append(max(widest[previous] if extends else left, right))
            bounds.append(_bound_of_result(name, left + right, widest[index], length))
            if bounds[index] == UNBOUNDED:
                length = 0
            elif extends:
                goes_on[previous] = 1
            lengths.append(length)
        runs = []
        for last, length in enumerate(lengths):
            if last % piece == piece - 1:
                yield
            if length >= SHORTEST_RUN and not goes_on[last]:
                runs.append((last, length))
        return runs

    def _bound(self, place: int, bounds: Sequence[int]) -> int:
        source = self._sources[place]
        if source != NOWHERE:
            return bounds[source]
        value = self._operands[place]
        if isinstance(value, int):
            return min((abs(value) - 1).bit_length(), UNBOUNDED)
        return UNBOUNDED

    def _regroup(self, last: int, length: int, piece: int) -> Generator[None, None, None]:
        """Group the terms of a run in pairs, those in pairs again, and so on.

        The operation before term m, counted from 0, joins the 2**k terms on its left with up to
        2**k on its right, 2**k being the largest power of two that divides m. So each keeps its
        number and its column, and what is ready is spread over the text. Of `a - b - c - d` it
        makes `(a - b) - (c + d)`: a group has the sign of its first term.
        """
        destination = self._destinations[last]
        run = [last] * length
        terms: list[tuple[Number | None, int]] = []
        negative: list[bool] = []
        for place in range(length - 2, -1, -1):
            if place % piece == piece - 1:
                yield
            run[place] = self._sources[2 * run[place + 1]]
        for term in range(length + 1):
            if term % piece == piece - 1:
                yield
            place = 2 * run[term - 1] + 1 if term else 2 * run[0]
            terms.append((self._operands[place], self._sources[place]))
            negative.append(term > 0 and self._names[run[term - 1]] == "sub")
        for middle, index in enumerate(run, start=1):
            if middle % piece == 0:
                yield
            span = middle & -middle
            left, right = span >> 1, _span_on_the_right(middle, len(terms))
            self._put(2 * index, (None, run[middle - left - 1]) if left else terms[middle - 1])
            self._put(2 * index + 1, (None, run[middle + right - 1]) if right else terms[middle])
            if self._names[index] != "mul":
                same = negative[middle - span] == negative[middle]
                self._names[index] = "sum" if same else "sub"
        top = run[(1 << length.bit_length() - 1) - 1]
        self._destinations[top] = destination
        if destination != NOWHERE:
            self._sources[destination] = top

    def _put(self, place: int, operand: tuple[Number | None, int]) -> None:
        self._operands[place], source = operand
        self._sources[place] = source
        if source != NOWHERE:
            self._destinations[source] = place


def _span_on_the_right(middle: int, terms: int) -> int:
    """Return how far behind `middle` the group on its right is joined, 0 if it is one term."""
    span = (middle & -middle) >> 1
    while span and middle + span >= terms:
        span >>= 1
    return span


def _bound_of_result(name: str, product: int, widest: int, operations: int) -> int:
    """Return the bound of the last of `operations` in a run, from those of its operands.

    `product` is the bound of a product. A sum of n terms is at most n times the widest.
    """
    if name not in RUNS:
        return UNBOUNDED
    bound = product if name == "mul" else widest + operations.bit_length()
    return min(bound, UNBOUNDED)
