/* SPDX-License-Identifier: BSD-3-Clause */
#include "plan.h"

#include <string.h>

#include "options.h"
#include "outlets.h"

void plan_parse(struct plan *plan, char *text, const struct argp_state *state)
{
	char *rest = NULL;

	for (char *part = strtok_r(text, ",", &rest); part; part = strtok_r(NULL, ",", &rest)) {
		struct step *step = &plan->steps[plan->count];
		char *instances = part + strcspn(part, ":");

		if (plan->count == PLAN_STEPS_MAX)
			argp_error(state, "--plan takes at most %d steps", PLAN_STEPS_MAX);
		if (!*instances)
			argp_error(state, "\"%s\" in --plan is not PACKET:N", part);
		else
			*instances++ = 0;
		step->first = option_number(state, "PACKET in --plan", part, 0, UINT64_MAX);
		step->instances = (unsigned int)option_number(state, "N in --plan", instances, 1,
							      OUTLETS_MAX);
		if (plan->count && step->first <= step[-1].first)
			argp_error(state, "the steps of --plan must be in order");
		plan->count++;
	}
}

struct step *plan_current(struct plan *plan)
{
	return plan->begun ? &plan->steps[plan->begun - 1] : NULL;
}

struct step *plan_next(struct plan *plan, uint64_t packet)
{
	struct step *next = &plan->steps[plan->begun];

	return plan->begun < plan->count && next->first == packet ? next : NULL;
}
