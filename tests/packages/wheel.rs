//! The wheel: installed by pip, pipx and uv from the file, used, removed.

use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;

use crate::tools::{VERSION, command, dist_trial, is_released, package, run, tool, works};

pub fn trials() -> Vec<Trial> {
    vec![
        dist_trial("wheel: pip installs and removes it", &["python3"], by_pip),
        dist_trial("wheel: pipx installs and removes it", &["pipx"], by_pipx),
        dist_trial("wheel: uvx runs it, uv installs and removes it", &["uv", "uvx"], by_uv),
    ]
}

/// A tool of Python that has its own home, and no network.
fn isolated(program: &Path, home: &Path) -> Command {
    let mut command = command(program);
    command.current_dir(home).env("HOME", home).env("PIP_NO_INDEX", "1").env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
    command
        .env("PIPX_HOME", home.join("pipx"))
        .env("PIPX_BIN_DIR", home.join("bin"))
        .env("PIPX_MAN_DIR", home.join("man"));
    command.env("UV_OFFLINE", "1").env("UV_CACHE_DIR", home.join("cache")).env("UV_TOOL_DIR", home.join("tools"));
    command.env("UV_TOOL_BIN_DIR", home.join("bin")).env("UV_PYTHON_DOWNLOADS", "never");
    command
}

fn wheel(dist: &Path) -> std::path::PathBuf {
    let wheel = package(dist, ".whl");
    // The old and the new name of the same tag.
    let tags = "py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64";
    assert_eq!(wheel.file_name().unwrap().to_str().unwrap(), format!("sumgate-{VERSION}-{tags}.whl"));
    wheel
}

fn by_pip(dist: &Path) {
    let home = tempfile::tempdir().unwrap();
    let venv = home.path().join("venv");
    run(isolated(&tool("python3").unwrap(), home.path()).args(["-m", "venv"]).arg(&venv));
    let pip = venv.join("bin/pip");
    run(isolated(&pip, home.path()).arg("install").arg(wheel(dist)));
    let program = venv.join("bin/sumgate");
    works(&program);
    is_released(&program);
    let parts = [
        "share/man/man1/sumgate-audit.1",
        "share/bash-completion/completions/sumgate",
        "share/zsh/site-functions/_sumgate",
        "share/fish/vendor_completions.d/sumgate.fish",
    ];
    for part in parts {
        assert!(venv.join(part).is_file(), "{part}");
    }
    let files = run(isolated(&pip, home.path()).args(["show", "--files", "sumgate"]));
    for license in ["APACHE", "MIT", "THIRD-PARTY"] {
        assert!(files.contains(&format!("licenses/LICENSE-{license}\n")), "{license}: {files}");
    }
    run(isolated(&pip, home.path()).args(["uninstall", "--yes", "sumgate"]));
    for part in parts.iter().chain(&["bin/sumgate"]) {
        assert!(!venv.join(part).exists(), "{part}");
    }
}

fn by_pipx(dist: &Path) {
    let home = tempfile::tempdir().unwrap();
    let pipx = tool("pipx").unwrap();
    run(isolated(&pipx, home.path()).arg("install").arg(wheel(dist)));
    let program = home.path().join("bin/sumgate");
    works(&program);
    is_released(&program);
    assert!(home.path().join("man/man1/sumgate.1").exists());
    run(isolated(&pipx, home.path()).args(["uninstall", "sumgate"]));
    assert!(!home.path().join("bin/sumgate").exists());
    assert!(!home.path().join("pipx/venvs/sumgate").exists());
}

fn by_uv(dist: &Path) {
    let home = tempfile::tempdir().unwrap();
    let uvx =
        |words: &[&str]| run(isolated(&tool("uvx").unwrap(), home.path()).arg("--from").arg(wheel(dist)).args(words));
    assert!(uvx(&["sumgate", "--version"]).starts_with(&format!("sumgate {VERSION} (")));
    let uv = |words: &[&str]| run(isolated(&tool("uv").unwrap(), home.path()).args(words));
    uv(&["tool", "install", wheel(dist).to_str().unwrap()]);
    let program = home.path().join("bin/sumgate");
    works(&program);
    is_released(&program);
    uv(&["tool", "uninstall", "sumgate"]);
    assert!(!home.path().join("bin/sumgate").exists());
}
