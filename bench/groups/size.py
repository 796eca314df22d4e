"""Group `size`: does a page of a list stay quick as the number of tasks and of their versions grows?"""

from bench.rows import Row, times_row
from bench.stage import Stage

OLD_VERSIONS = 4


def measure_size(stage: Stage) -> None:
    work, calls = stage.many_tasks(), stage.sizes.list_calls

    def by_number_of_tasks() -> Row:
        small, large = work.time_of_list(calls, project="SMALL"), work.time_of_list(calls)
        return times_row(f"list page at {work.count_active():,} tasks", "at 10,000 tasks", large, small, 1.2)

    def board_by_number_of_tasks() -> Row:
        work.add_tasks("TINY", 1_000)
        small, large = work.time_of_board(calls, project="TINY"), work.time_of_board(calls, project="SMALL")
        return times_row("board of 10,000 tasks", "of 1,000", large, small, 1.2)

    def as_of_a_month_ago() -> Row:
        work.add_versions(OLD_VERSIONS)
        then, now = work.time_of_list(calls, as_of=True), work.time_of_list(calls)
        return times_row(f"list as of a month ago, {1 + OLD_VERSIONS} versions each", "now", then, now, 3)

    stage.report.measure("list page", by_number_of_tasks)
    stage.report.measure("board", board_by_number_of_tasks)
    stage.report.measure("list as of a month ago", as_of_a_month_ago)
