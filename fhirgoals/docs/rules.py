"""The rules of `domain.invariants` and `domain.warnings` as a reader meets them: code, number, weight, place, sentence.

A test compares this table with those modules: a code that is not here, or that is only here, fails it. `…` stands for
what differs from case to case.
"""

# ruff: noqa: E501 - one rule a line

from __future__ import annotations

from typing import Literal, NamedTuple


class Rule(NamedTuple):
    """One rule. `where` is a place in a plan file; a number of several codes is shared."""

    code: str
    invariant: int
    severity: Literal["error", "warn"]
    where: str
    sentence: str


RULES: tuple[Rule, ...] = (
    Rule("id_form", 0, "error", "….id", "The id of this … must be 1 to 64 letters, digits, '-', '_', '.' or ':'."),
    Rule("id_twice", 0, "error", "….id", "Another … has the same id."),
    Rule("answer_twice", 0, "error", "goals[].acceptance[]", "Each person has one answer to a goal; this one stands twice."),
    Rule("target_twice", 0, "error", "goals[].targets[]", "Two targets of this goal share a measure and need an id each."),
    Rule("…_not_in_plan", 0, "error", "any reference; a goal's parent 2, predecessors and replaced_by 3", "This refers to a … that the plan does not have."),
    Rule("goal_without_horizon", 0, "error", "goals[].horizon", "This goal needs a horizon."),
    Rule("goal_without_nature", 0, "error", "goals[].nature", "This goal needs a nature."),
    Rule("goal_without_text", 0, "error", "goals[].text", "This goal needs a text."),
    Rule("goal_without_lifecycle", 0, "error", "goals[].lifecycle", "This goal needs a lifecycle."),
    Rule("goal_without_start_date", 0, "error", "goals[].start_date", "This goal needs a start_date."),
    Rule("readiness_off_scale", 0, "error", "goals[].readiness", "Importance and confidence are each from 0 to 10."),
    Rule("suds_off_scale", 0, "error", "goals[].steps[]", "Distress is from 0 to 100."),
    Rule("long_term_has_parent", 1, "error", "goals[].parent", "A long-term goal has no parent."),
    Rule("short_term_without_parent", 1, "error", "goals[].parent", "A short-term goal needs a long-term goal as its parent."),
    Rule("parent_not_long_term", 1, "error", "goals[].parent", "The parent of a short-term goal is a long-term goal."),
    Rule("plan_without_client", 2, "error", "client", "A treatment plan needs its client."),
    Rule("client_participant_differs", 2, "error", "participants[].ref", "The participant with the client's role is not the client of the plan."),
    Rule("plan_subject_changed", 2, "error", "client.id", "A plan never moves to another person."),
    Rule("parent_cycle", 3, "error", "goals[].parent", "Following parent from this goal leads back to it (… goals in the circle)."),
    Rule("predecessors_cycle", 3, "error", "goals[].predecessors", "Following predecessors from this goal leads back to it (… goals in the circle)."),
    Rule("replaced_by_cycle", 3, "error", "goals[].replaced_by", "Following replaced_by from this goal leads back to it (… goals in the circle)."),
    Rule("target_before_start", 4, "error", "goals[].target_date", "The target date is before the start date."),
    Rule("step_done_before_start", 4, "error", "goals[].steps[].done_on", "A step was done before its goal started."),
    Rule("target_by_after_target_date", 4, "error", "goals[].targets[].by", "A target is due after the target date of its goal."),
    Rule("outlives_parent", 5, "warn", "goals[].target_date", "This short-term goal ends after the long-term goal that it belongs to."),
    Rule("starts_before_parent", 5, "warn", "goals[].start_date", "This short-term goal starts before the long-term goal that it belongs to."),
    Rule("review_late", 5, "warn", "reviews[].date", "This review was held after the day it was due."),
    Rule("achieved_late", 5, "warn", "goals[].status_date", "This goal was achieved after its target date."),
    Rule("step_order", 6, "error", "goals[].steps", "The steps must be numbered 1, 2, 3 … without a gap."),
    Rule("exposure_not_rising", 6, "warn", "goals[].steps[].suds_expected", "An exposure step expects less distress than the one before it."),
    Rule("done_without_day", 7, "error", "goals[].steps[].done_on", "A step that is done needs the day it was done on."),
    Rule("day_without_done", 7, "error", "goals[].steps[].done_on", "Only a step that is done has a day it was done on."),
    Rule("completed_without_closure_reason", 8, "error", "goals[].closure_reason", "A completed goal needs a closure reason."),
    Rule("completed_without_status_date", 8, "error", "goals[].status_date", "A completed goal needs a status date."),
    Rule("status_without_reason", 8, "error", "goals[].status_reason", "A goal that is cancelled, declined or on hold needs a reason."),
    Rule("status_conflict", 8, "error", "goals[].achievement", "The achievement does not fit the reason for which the goal was completed."),
    Rule("goal_without_agreement", 9, "error", "goals[].acceptance", "A goal is accepted or active only with the client's agreement, or the legal representative's."),
    Rule("plan_without_first_version", 9, "error", "revisions", "A plan begins with a first version that was agreed on, or with a refusal on record."),
    Rule("first_version_not_agreed", 9, "error", "revisions[].client_agreed", "The first version needs the client's agreement, or a refusal on record."),
    Rule("first_version_not_by_therapist", 9, "error", "revisions[].by", "The first version must be ….",),
    Rule("exploratory_without_completion_criterion", 10, "error", "goals[].completion_criterion", "An exploratory goal needs a completion criterion."),
    Rule("exploratory_without_target_date", 10, "error", "goals[].target_date", "An exploratory goal needs a target date."),
    Rule("finding_outside_exploration", 10, "error", "goals[].findings", "Findings belong to an exploratory goal."),
    Rule("reading_out_of_range", 11, "error", "measures[].readings[].value", "The value is outside the range of its measure."),
    Rule("reading_before_baseline", 11, "error", "measures[].readings[].date", "A reading is from before the baseline of its measure."),
    Rule("reading_twice", 11, "error", "measures[].readings[]", "There is a reading of this measure by the same rater on that day."),
    Rule("gas_level_without_text", 12, "error", "goals[].gas.levels", "A goal attainment scale needs words for each of its five levels."),
    Rule("gas_levels_alike", 12, "error", "goals[].gas.levels", "Two levels of this goal attainment scale have the same words."),
    Rule("gas_level_off_scale", 12, "error", "goals[].gas.ratings[].level", "A level of a goal attainment scale is from -2 to +2."),
    Rule("gas_baseline", 12, "error", "goals[].gas.baseline", "The baseline of a scale is -1 or -2."),
    Rule("gas_weight", 12, "error", "goals[].gas.weight", "Importance and difficulty are each from 1 to 3."),
    Rule("goal_addresses_no_problem", 13, "warn", "goals[].addresses", "Neither this goal nor its parent addresses a problem of the plan."),
    Rule("treatment_plan_with_subject_therapist", 14, "error", "therapist", "Only a development plan has a therapist as its subject; name the therapist among the participants."),
    Rule("development_plan_with_client", 14, "error", "client", "A development plan has no client."),
    Rule("development_plan_without_subject", 14, "error", "therapist", "A development plan needs the therapist it is about."),
    Rule("development_plan_with_consent", 14, "warn", "disclosure.consents[]", "A development plan is never sent, so a consent has no effect."),
    Rule("label_not_inherited", 16, "error", "what would be sent", "What would be sent lacks a label that it inherits from its problem or measure."),
    Rule("plan_id_changed", 17, "error", "plan.id", "The id of a plan never changes."),
    Rule("plan_kind_changed", 17, "error", "plan.kind", "The kind of a plan never changes."),
    Rule("entered_in_error_is_final", 17, "error", "a lifecycle or status", "What was entered in error stays so; write it anew under another id."),
    Rule("goal_vanished", 17, "error", "goals", "A goal can't be removed: set its lifecycle to entered_in_error instead."),
    Rule("step_vanished", 17, "error", "goals", "A step can't be removed: set its status to entered_in_error instead."),
    Rule("withheld_in_export", 18, "error", "what would be sent", "What is withheld would be sent."),
    Rule("open_goal_in_ended_plan", 19, "error", "goals[].lifecycle", "A plan that has ended has no goal that is still active, planned or on hold: close it first."),
    Rule("active_under_inactive_parent", 20, "warn", "goals[].lifecycle", "This goal is active, but the long-term goal that it belongs to is not."),
    Rule("dangling_in_export", 21, "error", "what would be sent", "What would be sent refers to a … that is not sent with it."),
    Rule("starts_before_predecessor_completed", 22, "warn", "goals[].predecessors[]", "This goal started before the goal that leads to it was completed."),
    Rule("withheld_marks_differ", 23, "warn", "goals[].share", "Only one of share and disclosure.withheld says that this goal is withheld; it is withheld."),
    Rule("endpoint_unknown", 24, "error", "disclosure", "This names no connection; add it or mend the name."),
    Rule("endpoint_unchecked", 24, "warn", "disclosure", "Without a store no one can tell if this connection is."),
)  # fmt: skip
