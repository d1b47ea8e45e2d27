// SPDX-License-Identifier: BSD-3-Clause
/* What came of a contest, in words and in JSON. */
#include "contest.h"
#include "report.h"

#include <stdio.h>
#include <string.h>

static const char *const states[STATES] = { "idle", "busy" };

static struct figure figure_of(const double *values, unsigned int count)
{
	double copy[ROUNDS_MAX];

	memcpy(copy, values, count * sizeof(*values));
	return measure_figure(copy, count);
}

static double per_second(const struct contest *contest, unsigned int way, double ns)
{
	return contest->ways[way].units / contest->unit_size / ns * 1e9;
}

static json_t *usage_json(const struct usage *usage)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "NF CPU ns",
			 (json_int_t)usage->nf_cpu_ns, "NF user us", (json_int_t)usage->nf_user_us,
			 "NF kernel us", (json_int_t)usage->nf_kernel_us, "NF switches",
			 (json_int_t)usage->nf_switches, "NF work", (json_int_t)usage->nf_work,
			 "process user us", (json_int_t)usage->user_us, "process kernel us",
			 (json_int_t)usage->kernel_us, "process switches",
			 (json_int_t)usage->switches);
}

static json_t *outcome_json(const struct contest *contest, unsigned int way,
			    struct outcome *outcome)
{
	static const struct {
		const char *name;
		double part;
	} parts[] = { { "p50", 0.5 },	  { "p90", 0.9 },	{ "p99", 0.99 },
		      { "p99.9", 0.999 }, { "p99.99", 0.9999 }, { "slowest", 1 } };
	json_t *ns = report_figure(figure_of(outcome->medians, contest->options->rounds));

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		json_object_set_new(ns, parts[i].name,
				    json_real(samples_ns(&outcome->samples, parts[i].part)));
	return json_pack("{s:o, s:f, s:f, s:f, s:I, s:f, s:o}", "ns", ns, "per second",
			 per_second(contest, way, samples_ns(&outcome->samples, 0.5)), "units",
			 contest->ways[way].units, "READs", outcome->reads, "operations",
			 (json_int_t)outcome->samples.count, "seconds", outcome->ns / 1e9, "owners",
			 usage_json(&outcome->usage));
}

static void print_usage(const char *name, const struct usage *usage, double seconds)
{
	printf("%-28s %8.2f %12.3f %12.3f %12ju %14.3f %14.3f %10ju\n", name, seconds,
	       (double)usage->nf_cpu_ns / 1e6, (double)usage->nf_user_us / 1e3,
	       (uintmax_t)usage->nf_switches, (double)usage->user_us / 1e3,
	       (double)usage->kernel_us / 1e3, (uintmax_t)usage->switches);
}

static json_t *report_state(struct contest *contest, unsigned int state)
{
	json_t *report = json_object();
	char text[64];

	printf("%-28s %21s %8s %8s %9s %9s %11s/s %6s\n", "us", "median (least-most)", "p90", "p99",
	       "p99.9", "max", contest->unit, "READs");
	for (unsigned int i = 0; i < contest->count; i++) {
		struct outcome *outcome = &contest->outcomes[state][i];
		struct samples *samples = &outcome->samples;
		struct figure figure = figure_of(outcome->medians, contest->options->rounds);

		figure.median /= 1e3;
		figure.least /= 1e3;
		figure.most /= 1e3;
		printf("%-28s %21s %8.1f %8.1f %9.1f %9.1f %13.1f %6.2f\n", contest->ways[i].name,
		       report_text(figure, text), samples_ns(samples, 0.9) / 1e3,
		       samples_ns(samples, 0.99) / 1e3, samples_ns(samples, 0.999) / 1e3,
		       samples_ns(samples, 1) / 1e3,
		       per_second(contest, i, samples_ns(samples, 0.5)), outcome->reads);
		json_object_set_new(report, contest->ways[i].name,
				    outcome_json(contest, i, outcome));
	}
	printf("%-28s %8s %12s %12s %12s %14s %14s %10s\n", "owners meanwhile", "seconds",
	       "NF CPU ms", "NF user ms", "NF switches", "all user ms", "all kernel ms",
	       "switches");
	for (unsigned int i = 0; i < contest->count; i++)
		print_usage(contest->ways[i].name, &contest->outcomes[state][i].usage,
			    contest->outcomes[state][i].ns / 1e9);
	print_usage("at rest", &contest->rest[state], 1);
	json_object_set_new(report, "at rest", usage_json(&contest->rest[state]));
	return report;
}

static void print_ratio(const char *name, struct figure ratio, int kind, double aim)
{
	printf("%-48s %5.2f (%.2f-%.2f)", name, ratio.median, ratio.least, ratio.most);
	if (aim > 0)
		printf(", aimed at %s %.2f: %s", kind == RATIO_TIME ? "at most" : "at least", aim,
		       (kind == RATIO_TIME ? ratio.median <= aim : ratio.median >= aim) ? "reached"
											: "missed");
	printf("\n");
}

static void add_ratio(json_t *report, const char *name, double *values, unsigned int count,
		      int kind, double aim)
{
	struct figure ratio = measure_figure(values, count);
	json_t *entry = report_figure(ratio);

	print_ratio(name, ratio, kind, aim);
	if (aim > 0)
		json_object_set_new(entry, kind == RATIO_TIME ? "at most" : "at least",
				    json_real(aim));
	json_object_set_new(json_object_get(report, "ratios"), name, entry);
}

/* The tail with the owners' CPUs busy, beside that with idle ones. */
static void report_busy(const struct contest *contest, json_t *report)
{
	for (unsigned int i = 0; i < contest->count; i++) {
		double values[ROUNDS_MAX];
		char name[128];

		for (unsigned int r = 0; r < contest->options->rounds; r++)
			values[r] =
				contest->outcomes[1][i].p99s[r] / contest->outcomes[0][i].p99s[r];
		snprintf(name, sizeof(name), "%s: p99, owner busy / idle", contest->ways[i].name);
		add_ratio(report, name, values, contest->options->rounds, RATIO_TIME,
			  strstr(contest->ways[i].name, "rpc") ? 0 : 1.2);
	}
}

json_t *contest_report(struct contest *contest, const char *title)
{
	json_t *report = json_object();

	json_object_set_new(report, "rounds", json_integer(contest->options->rounds));
	json_object_set_new(report, "unit", json_string(contest->unit));
	json_object_set_new(report, "ratios", json_object());
	for (unsigned int state = 0; state < STATES; state++) {
		if (!contest->outcomes[state])
			continue;
		printf("\n%s, owner %s\n", title, states[state]);
		json_object_set_new(report, states[state], report_state(contest, state));
	}
	printf("\n");
	if (contest->outcomes[0] && contest->outcomes[1])
		report_busy(contest, report);
	return report;
}

void contest_ratio(const struct contest *contest, json_t *report, unsigned int of, unsigned int to,
		   int kind, double aim)
{
	const struct outcome *outcomes = contest->outcomes[contest->outcomes[0] ? 0 : 1];
	double units = contest->ways[of].units / contest->ways[to].units;
	double values[ROUNDS_MAX];
	char name[128];

	for (unsigned int r = 0; r < contest->options->rounds; r++) {
		double ratio = outcomes[of].medians[r] / outcomes[to].medians[r];

		values[r] = kind == RATIO_TIME ? ratio : units / ratio;
	}
	snprintf(name, sizeof(name), "%s / %s", contest->ways[of].name, contest->ways[to].name);
	add_ratio(report, name, values, contest->options->rounds, kind, aim);
}
