/* SPDX-License-Identifier: Apache-2.0 */
/* commands.c - the tables of all commands. */
#include "base/compiler.h"
#include "cli/command.h"

/* The order is that of enum in serve.c. */
static const struct nr_option serve_options[] = {
    {"config", 'c', "FILE", "configuration; default: ./naru.yaml"},
    {"to", 0, "HOST:PORT", "no file: pass everything to this one service"},
    {"listen", 0, "ADDRESS", "with --to: where clients connect; default: 127.0.0.1:8080"},
    {"admin", 0, "ADDRESS", "with --to: the admin listener; default: 127.0.0.1:9900"},
};

static const struct nr_command serve = {
    .name = "serve",
    .synopsis = "",
    .summary = "run the gateway",
    .details = "HUP loads the configuration again; USR2 starts the program anew from its file,\n"
               "hands it the listening sockets and drains when it serves.\n"
               "TERM or INT drains: /ready fails, listeners close, requests in flight finish\n"
               "within gateway.drain_timeout. A second signal ends at once.\n"
               "The access log goes to standard output, naru's own log to standard error, both\n"
               "as JSON lines.",
    .options = serve_options,
    .option_count = NR_COUNT(serve_options),
    .run = nr_cmd_serve,
};

static const struct nr_option file_options[] = {
    {"config", 'c', "FILE", "configuration; default: ./naru.yaml; - is standard input"},
};

/* The order is that of enum in check.c. */
static const struct nr_option check_options[] = {
    {"config", 'c', "FILE", "configuration; default: ./naru.yaml; - is standard input"},
    {"fail-on", 0, "LEVEL", "error (default) or warning: from which findings on it exits with 1"},
    {"json", 0, NULL, "findings as one JSON document"},
    {"explain", 0, "CODE", "why a finding hurts and how to mend it, with an example"},
    {"list", 0, NULL, "all that is looked for"},
};

static const struct nr_command check = {
    .name = "check",
    .synopsis = "",
    .summary = "say what is wrong with a configuration, and what will hurt",
    .details = "A design review: time limits that do not fit together, attempts without time,\n"
               "single points of failure, secrets in clear and more, each with its line, the\n"
               "reason and a fix. Errors will fail, warnings will hurt, hints could be better.\n"
               "Exits with 0 when there is nothing of the level of --fail-on or above, else 1;\n"
               "3 when the configuration cannot be loaded.",
    .options = check_options,
    .option_count = NR_COUNT(check_options),
    .run = nr_cmd_check,
};

/* The order is that of enum nr_explain_option. */
static const struct nr_option explain_options[] = {
    {"route", 'r', "REQUEST",
     "which route takes 'GET http://shop.example/users/7?a=b'; with "
     "--last: only those of the route NAME"},
    {"header", 'H', "FIELD",
     "with --route: a field of the request, 'Name: value'; may be repeated"},
    {"config", 'c', "FILE", "configuration; default: ./naru.yaml; - is standard input"},
    {"json", 0, NULL, "as one JSON document"},
    {"last", 'n', "COUNT", "list the latest requests, newest first; the options below choose"},
    {"status", 0, "STATUS", "only those answered with 503, 5xx or 500-504"},
    {"reason", 0, "REASON", "only those; alone: what the reason means and what to do"},
    {"service", 0, "NAME", "only those for this service"},
    {"admin", 0, "ADDRESS", "where naru's admin listener is; default: admin.listen of the file"},
    {"token-file", 0, "FILE", "holds the admin token; default: $NARU_ADMIN_TOKEN, else the file's"},
};

static const struct nr_command explain = {
    .name = "explain",
    .synopsis = "[ID]",
    .summary = "say what happened to a request, or which route one would take",
    .details =
        "ID      a request by its X-Request-Id: the answer and why, what to do, each step of\n"
        "        the way, where the time went. Asks the naru that runs.\n"
        "--last  a list of requests to choose from: naru explain --last 20 --status 5xx\n"
        "--reason CODE  what a reason means and what to do about it\n"
        "--route REQUEST  asks the gateway's router on paper: the route, then the runners-up,\n"
        "        in the order in which they are asked, each with what it lost by\n"
        "Exits with 0 when there is something to show, 1 when no route takes the request or\n"
        "no such record or reason is known, 6 when no naru answers at the admin address.",
    .options = explain_options,
    .option_count = NR_COUNT(explain_options),
    .many = 2,
    .words_max = 1,
    .run = nr_cmd_explain,
};

/* The order is that of enum in simulate.c. */
static const struct nr_option simulate_options[] = {
    {"config", 'c', "FILE", "configuration, instead of the one that the scenario names"},
    {"seed", 0, "NUMBER", "instead of the scenario's; the same seed gives the same bytes"},
    {"set", 0, "PATH=VALUE",
     "instead of what the configuration says: services.payment.retry.attempts=1;\n"
     "                       with scenario. in front, of what the scenario says; may be repeated"},
    {"json", 0, "FILE", "write the report as JSON; - is standard output, and nothing else there"},
    {"html", 0, "FILE", "write it as a page with pictures, in one file"},
    {"transport", 0, "wire|model",
     "wire: HTTP over simulated connections; model: without them, for long or large\n"
     "                       scenarios; default: as the scenario says, else wire"},
    {"list", 0, NULL, "name the scenarios that come with the program"},
};

static const struct nr_command simulate = {
    .name = "simulate",
    .synopsis = "SCENARIO",
    .summary = "play a configuration in virtual time: what fails, how fast, at what load",
    .details =
        "SCENARIO is a file, or the name of one that comes with the program (--list): traffic,\n"
        "how each service behaves, what fails and when. The gateway is the real one, with your\n"
        "configuration; its services, clients and network are models. docs/simulate.md explains.",
    .options = simulate_options,
    .option_count = NR_COUNT(simulate_options),
    .many = 3,
    .words_max = 1,
    .run = nr_cmd_simulate,
};

static const char *const config_choices[] = {"schema", "docs", "print", "diff", NULL};

static const struct nr_command config = {
    .name = "config",
    .synopsis = "schema [scenario]|docs [PAGE]|print|diff OLD",
    .summary =
        "print the JSON Schema, a reference page, the effective configuration, or what changes",
    .details =
        "schema   JSON Schema (2020-12) for editors; scenario: of the files of naru simulate\n"
        "docs     the reference in Markdown: config (default), reasons, findings or cli\n"
        "print    the configuration with all defaults, as YAML\n"
        "diff     what changes from the file OLD to it: listeners, routes and services by name,\n"
        "         other sections, and what takes a restart; exits with 1 if anything does",
    .options = file_options,
    .option_count = NR_COUNT(file_options),
    .choices = config_choices,
    .words_min = 1,
    .words_max = 2,
    .run = nr_cmd_config,
};

static const struct nr_command help = {
    .name = "help",
    .synopsis = "[COMMAND]",
    .summary = "explain a command",
    .words_max = 1,
    .run = nr_cmd_help,
};

static const struct nr_command version = {
    .name = "version",
    .synopsis = "",
    .summary = "print the version",
    .run = nr_cmd_version,
};

static const char *const shells[] = {"bash", "zsh", "fish", NULL};

static const struct nr_command completion = {
    .name = "completion",
    .synopsis = "bash|zsh|fish",
    .summary = "print a completion script",
    .details = "bash: eval \"$(naru completion bash)\"\n"
               "zsh:  eval \"$(naru completion zsh)\"\n"
               "fish: naru completion fish | source",
    .choices = shells,
    .words_min = 1,
    .words_max = 1,
    .run = nr_cmd_completion,
};

const struct nr_command *const nr_commands[] = {&serve, &check,   &config,     &explain, &simulate,
                                                &help,  &version, &completion, NULL};

const struct nr_command *nr_command_find(const char *name)
{
    for (const struct nr_command *const *at = nr_commands; *at != NULL; at++)
        if (strcmp((*at)->name, name) == 0)
            return *at;
    return NULL;
}
