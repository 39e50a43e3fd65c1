//! The load generator: orders on standard input, answers as JSON lines on standard output. `load [--cpu N]`.

use plane_load::system::pin;
use plane_load::world::World;

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, core] = arguments.as_slice()
        && flag == "--cpu"
    {
        pin(core.parse().map_err(|_| format!("{core} is no core"))?);
    }
    World::new()?.run();
    Ok(())
}
