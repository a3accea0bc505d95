"""The templates of the stages, which the rules against loss judge."""

from tests.infrastructure.conftest import every_template, template, templates

__all__ = ["every_template", "template", "templates"]
