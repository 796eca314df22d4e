"""How the services of tasks are made."""

from functools import cached_property

from app.composition.use_cases.base import UseCases
from app.repositories.people import UserRepository
from app.repositories.projects import ProjectRepository
from app.repositories.tasks.board import BoardRepository
from app.repositories.tasks.bulk import BulkRepository, Loaded, LoadedProjects, LoadedUsers
from app.repositories.tasks.export import TaskExportRepository
from app.repositories.tasks.followers import FollowerRepository
from app.repositories.tasks.handover import HandoverRepository
from app.repositories.tasks.history import TaskHistoryRepository
from app.repositories.tasks.order import OrderRepository
from app.repositories.tasks.read import TaskListRepository
from app.repositories.tasks.recurring import RecurringTaskRepository
from app.repositories.tasks.tree import TaskTreeRepository
from app.repositories.tasks.write import TaskRepository
from app.services.tasks.board import BoardService
from app.services.tasks.bulk import BulkService
from app.services.tasks.export import TaskExportService
from app.services.tasks.followers import TaskFollowerService
from app.services.tasks.handover import HandoverService
from app.services.tasks.history import TaskHistoryService
from app.services.tasks.order import Mover, OrderService
from app.services.tasks.read import TaskViewService
from app.services.tasks.recurring import RecurringTaskService
from app.services.tasks.tree import TaskTree
from app.services.tasks.write import TaskService


class TaskUseCases(UseCases):
    @cached_property
    def tasks(self) -> TaskService:
        return TaskService(
            self._uow,
            TaskRepository(self._session),
            ProjectRepository(self._session),
            UserRepository(self._session),
            self._tree,
            self._calendar,
        )

    @cached_property
    def board(self) -> BoardService:
        return BoardService(self._uow, BoardRepository(self._session), self._cache, self._calendar)

    @cached_property
    def task_bulk(self) -> BulkService:
        return BulkService(
            self._uow,
            TaskRepository(self._session),
            BulkRepository(self._session),
            Loaded(LoadedProjects(self._session), LoadedUsers(self._session)),
            self._tree,
            Mover(OrderRepository(self._session)),
            self._calendar,
        )

    @cached_property
    def task_order(self) -> OrderService:
        return OrderService(
            self._uow,
            TaskRepository(self._session),
            self._tree,
            Mover(OrderRepository(self._session)),
            self._calendar,
        )

    @cached_property
    def handover(self) -> HandoverService:
        return HandoverService(
            self._uow,
            HandoverRepository(self._session),
            ProjectRepository(self._session),
            UserRepository(self._session),
            self._resources.clock,
        )

    @cached_property
    def recurring_tasks(self) -> RecurringTaskService:
        return RecurringTaskService(
            self._uow,
            RecurringTaskRepository(self._session),
            TaskRepository(self._session),
            ProjectRepository(self._session),
            self._calendar,
        )

    @property
    def _tree(self) -> TaskTree:
        return TaskTree(TaskTreeRepository(self._session), ProjectRepository(self._session))

    @cached_property
    def task_views(self) -> TaskViewService:
        return TaskViewService(
            self._uow,
            TaskRepository(self._session),
            TaskListRepository(self._session),
            self._cache,
            self._calendar,
        )

    @cached_property
    def task_export(self) -> TaskExportService:
        return TaskExportService(self._uow, TaskExportRepository(self._session), self._calendar)

    @cached_property
    def task_history(self) -> TaskHistoryService:
        return TaskHistoryService(self._uow, TaskHistoryRepository(self._session))

    @cached_property
    def task_followers(self) -> TaskFollowerService:
        return TaskFollowerService(self._uow, FollowerRepository(self._session))
