use anabranch::{analyse, diag, ir, lower, pipeline};
#[allow(clippy::print_stdout)]
fn main() {
    let path = std::env::args().nth(1).unwrap_or_default();
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let mut sources = diag::SourceMap::default();
    let id = sources.add(path, text);
    match pipeline::compile(&mut sources, id, &lower::Options::default()) {
        Ok(c) => println!(
            "{}{}{}{}",
            ir::print(&c.module.graph, "ir"),
            ir::print(&c.predict, "predict"),
            ir::print(&c.train, "train"),
            analyse::flow(&c.module).to_text()
        ),
        Err(d) => println!("{}", diag::render_plain(&d.0, &sources)),
    }
}
