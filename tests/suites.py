"""Every suite of the repository: its name, its command, what it needs. The order of a group is the order of its run."""

import dataclasses

PYTHON = ".tools/venv/bin/python"
# Imports by path: the default would put each folder in front of the path and mix up the files called run.py.
PYTEST = f"{PYTHON} -m pytest -q -p no:cacheprovider --import-mode=importlib"
GRPC_GO = ((".tools/bin/interop-server", "grpc-go's interop server is built by tests/server/build.sh and needs Go"),)


@dataclasses.dataclass(frozen=True)
class Suite:
    name: str
    command: tuple
    # (path, why it may be missing): without it the suite is skipped.
    needs: tuple = ()
    guard_minutes: int = 10
    # What all later suites stand on: shown as it runs, and a failure ends the run.
    is_foundation: bool = False
    # Figures worth reading although the suite passed.
    shows_output: bool = False

    @property
    def wants_server(self):
        """True when the command speaks to grpc-go's interop server, whose address replaces {server}."""
        return "{server}" in self.command


def suite(name, command, **settings):
    return Suite(name, tuple(command.split()), **settings)


def per_language(kind, arguments, profile="", **settings):
    """The same program in four languages, run against grpc-go's interop server."""
    commands = {
        "rust": f"cargo run --quiet {profile} -p linkspan-core --example {kind} --",
        "c": f"target/c/{kind}",
        "python": f"{PYTHON} tests/python/{kind}.py",
        "node": f"node --expose-gc tests/node/{kind}.cjs",
    }
    return [
        suite(f"{kind}-{language}", f"{command} {{server}} {arguments}", needs=GRPC_GO, **settings)
        for language, command in commands.items()
    ]


def simulation(seeds, name="simulation", **settings):
    """So many worlds made by chance, and the directed ones in full; optimized, as the budgets are."""
    command = "cargo test --release --quiet -p linkspan-core --lib simulation"
    return suite(name, f"env LINKSPAN_SIMULATION_SEEDS={seeds} {command}", guard_minutes=20, **settings)


BUILD = suite("build", "make --no-print-directory build", guard_minutes=40, is_foundation=True)

LINTS = [
    suite("format", "cargo fmt --all --check"),
    suite("clippy", "cargo clippy --quiet --workspace --all-targets -- -D warnings", guard_minutes=20),
    suite("clippy-hickory", "cargo clippy --quiet -p linkspan-core --features hickory --all-targets -- -D warnings", guard_minutes=20),
    suite("deny", ".ci/deny.sh", guard_minutes=20),
    suite("go-vet", "go -C tests/server/go vet ./...", needs=GRPC_GO),
    suite("header", "ffi/scripts/header.sh --check"),
]

LANGUAGES = ("rust", "c", "python", "node")
# Each starts its servers itself, and says which it could not.
INTEROP = [
    suite(f"interop-{language}", f"python3 tests/interop/run.py {language}", shows_output=True, guard_minutes=20) for language in LANGUAGES
]

TESTS = [
    suite("rust", "cargo test --quiet -p linkspan-core -p linkspan-ffi", guard_minutes=20),
    # What only that feature brings; the arguments are parts of the tests' names.
    suite("rust-hickory", "cargo test --quiet -p linkspan-core --features hickory --lib --test behaviour -- dns servers", guard_minutes=20),
    simulation(2_000),
    suite("c", "tests/c/run.sh"),
    suite("c-valgrind", "tests/c/run.sh --valgrind"),
    suite("python", f"{PYTHON} -m pytest -q -rs bindings-python/tests"),
    suite("python-stub", f"{PYTHON} -m mypy.stubtest linkspan._linkspan"),
    suite("node", "npm --prefix bindings-node test --silent"),
    suite(
        "orchestration",
        f"{PYTEST} -o pythonpath=tests tests/run_test.py tests/demo tests/parity tests/causes tests/rules tests/bench tests/server tests/faults tests/dns tests/interop tests/fuzz",
    ),
    suite("test-server", "cargo test --quiet -p linkspan-faults"),
    suite("readme", "python3 tests/readme/run.py"),
    suite("rules", "python3 tests/rules/run.py", shows_output=True),
    suite("parity", "python3 tests/parity/run.py"),
    suite("causes", "python3 tests/causes/run.py"),
    *INTEROP,
    suite("http-proxy", "python3 tests/proxy/run.py {server}", needs=GRPC_GO),
    *per_language("endurance", "100000", "--release", shows_output=True),
]

# Real clients through real faults; the long forms hold figures to their bars and keep them.
FAULTS = [
    suite(f"faults-{name}", f"python3 tests/faults/run.py {name}", shows_output=True)
    for name in ("half-open", "restart", "deploys", "too-many-pings")
]
LONG_FAULTS = [
    suite(f"soak-{name}", f"python3 tests/faults/run.py --long --keep {name}", shows_output=True, guard_minutes=minutes, **needs)
    for name, minutes, needs in (
        ("half-open", 10, {}),
        ("silent-peer", 10, {}),
        ("restart", 15, {}),
        ("deploys", 30, {"needs": GRPC_GO}),
        ("too-many-pings", 40, {"needs": GRPC_GO}),
    )
]

# Servers and balancers that nobody here wrote, told with figures as the faults are; from the venv, because they call from their own process. What a
# scenario needs it looks for itself.
SCENARIOS = [
    suite(f"scenario-{name}", f"{PYTHON} tests/scenarios/run.py {name}", shows_output=True) for name in ("stream-limit", "outliers", "nginx", "haproxy", "certificates")
]
LONG_SCENARIOS = [
    suite(f"soak-{name}", f"{PYTHON} tests/scenarios/run.py --long --keep {name}", shows_output=True)
    for name in ("stream-limit", "outliers", "nginx", "haproxy", "virtual-ip", "churn")
]
LONG_SCENARIOS.append(
    suite("soak-certificates", f"{PYTHON} tests/scenarios/run.py --long --keep certificates", shows_output=True, guard_minutes=15)
)

# Names in a network of their own, where the kernel allows one.
NAMES = [suite(f"dns-{play}", f"python3 tests/dns/run.py {play}", shows_output=True) for play in ("cases", "outage", "scaling")]
LONG_FAULTS += [
    suite(f"soak-dns-{play}", f"python3 tests/dns/run.py --long --keep {play}", shows_output=True) for play in ("outage", "scaling")
]

# What a call costs may not grow unseen, and whatever measures it must go on working.
BUDGETS = [
    suite("budget", "python3 tests/bench/budget.py", shows_output=True),
    suite("bench-trial", "make --no-print-directory bench-trial", guard_minutes=20),
]

SOAK = [
    dataclasses.replace(each, name=f"soak-{each.name}", command=(*each.command[:-1], "500000"), guard_minutes=30)
    for each in per_language("endurance", "0", "--release", shows_output=True)
] + [
    suite(
        "soak-fork-python",
        f"env LINKSPAN_FORKS=200 {PYTHON} -m pytest -q -s bindings-python/tests/process/fork_matrix_test.py",
        guard_minutes=30,
        shows_output=True,
    ),
    suite("soak-fork-c", "target/c/fork {server} 200", needs=GRPC_GO, guard_minutes=30),
]
SOAK += [
    suite(f"soak-{kind}-{language}", f"python3 tests/interop/soak.py {kind} {language}", needs=GRPC_GO, shows_output=True, guard_minutes=15)
    for kind in ("rpc", "channel")
    for language in LANGUAGES
]
SOAK.append(dataclasses.replace(simulation(20_000, "soak-simulation"), guard_minutes=60))
# Whether every fuzzer works, and a little more; `make fuzz` is the long form.
SOAK.append(suite("soak-fuzz", "python3 tests/fuzz/run.py 5", guard_minutes=40, shows_output=True))

PRODUCTS = [
    suite("dist", "make --no-print-directory dist", guard_minutes=20),
    suite("demo", "python3 tests/demo/run.py", shows_output=True),
]

SUITES = {each.name: each for each in [BUILD, *LINTS, *TESTS, *FAULTS, *SCENARIOS, *NAMES, *BUDGETS, *SOAK, *LONG_FAULTS, *LONG_SCENARIOS, *PRODUCTS]}

GROUPS = {
    "lint": [each.name for each in LINTS],
    "test": [each.name for each in [BUILD, *TESTS, *FAULTS, *SCENARIOS, *NAMES]],
    "faults": [each.name for each in FAULTS],
    "scenarios": [each.name for each in SCENARIOS],
    "interop": [each.name for each in INTEROP],
    "soak": [each.name for each in [BUILD, *SOAK, *LONG_FAULTS, *LONG_SCENARIOS]],
    "ready": [each.name for each in [BUILD, *LINTS, *TESTS, *FAULTS, *SCENARIOS, *NAMES, *BUDGETS, *PRODUCTS]],
}
