//! The page's style sheet: system fonts, two colour schemes, phones, and paper.

use super::palette::declarations;

/// The whole style sheet.
pub fn sheet() -> String {
    let (light, dark) = (declarations(false), declarations(true));
    format!(
        ":root{{color-scheme:light dark;{light}}}\n@media (prefers-color-scheme:dark){{:root{{{dark}}}}}\n{RULES}\
         @media print{{:root{{color-scheme:light;{light}}}\n{PRINT}}}\n"
    )
}

const RULES: &str = "\
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-padding-top:1rem}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}
header,nav,main,footer{max-width:70rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:2.5rem}
h1{font-size:1.9rem;line-height:1.2;margin:.15rem 0 .9rem;letter-spacing:-.01em}
h2{font-size:1.3rem;line-height:1.3;margin:0 0 .35rem}
h3{font-size:1.05rem;line-height:1.35;margin:1.9rem 0 .35rem}
p{margin:.35rem 0 .9rem;max-width:46rem}
a{color:var(--link);text-underline-offset:.15em}
a:focus-visible,[tabindex]:focus-visible{outline:3px solid var(--link);outline-offset:2px;border-radius:4px}
code{font:.9em/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,'Liberation Mono',monospace;overflow-wrap:anywhere}
.over{margin:0;color:var(--faint);font-size:.85rem;font-weight:600}
.note{color:var(--faint);font-size:.92rem}
.facts{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.15rem 1.1rem;margin:0;font-size:.92rem}
.facts dt{color:var(--faint)}
.facts dd{margin:0;overflow-wrap:anywhere}
nav ul{list-style:none;margin:1.4rem 0 0;padding:.7rem 0;display:flex;flex-wrap:wrap;gap:.35rem 1.3rem;border-top:1px solid var(--line);border-bottom:1px solid var(--line);font-size:.95rem}
nav a{display:inline-block;padding:.15rem 0}
section{background:var(--sheet);border:1px solid var(--line);border-radius:12px;padding:1.5rem 1.6rem 1.6rem;margin:1.4rem 0}
.tiles{list-style:none;margin:1rem 0 0;padding:0;display:grid;grid-template-columns:repeat(auto-fill,minmax(11rem,1fr));gap:.8rem}
.tile{border:1px solid var(--line);border-left:5px solid var(--edge);border-radius:8px;padding:.7rem .9rem .75rem;display:flex;flex-direction:column}
.tile b{font-size:1.75rem;line-height:1.2;font-variant-numeric:tabular-nums;font-weight:650}
.tile .name{font-weight:600}
.tile .more{color:var(--faint);font-size:.88rem;flex:1}
.tile .tag{align-self:flex-start;margin-top:.45rem}
.tile.good{border-left-color:var(--good)}
.tile.look{border-left-color:var(--look)}
.tile.act{border-left-color:var(--act)}
.tag{display:inline-block;padding:.05rem .5rem;border-radius:999px;font-size:.8rem;font-weight:600;line-height:1.5;white-space:nowrap;background:var(--raised);color:var(--ink)}
.tag.good{background:var(--good-ground);color:var(--good)}
.tag.look{background:var(--look-ground);color:var(--look)}
.tag.act{background:var(--act-ground);color:var(--act)}
.tag.plan{background:var(--plan-ground);color:var(--plan)}
.scroll{position:relative;overflow-x:auto;margin:.8rem 0 0;border:1px solid var(--line);border-radius:8px}
table{border-collapse:collapse;width:100%;font-size:.92rem;font-variant-numeric:tabular-nums}
caption{text-align:left;padding:.55rem .8rem;color:var(--faint);font-size:.88rem;border-bottom:1px solid var(--line)}
th,td{text-align:left;vertical-align:top;padding:.5rem .8rem;border-bottom:1px solid var(--line)}
tr:last-child>th,tr:last-child>td{border-bottom:0}
thead th{background:var(--raised);font-size:.85rem;font-weight:600;vertical-align:bottom;border-bottom:1px solid var(--line)}
tbody th{font-weight:600}
time{white-space:nowrap}
caption span{display:inline-block;position:sticky;left:.8rem;max-width:calc(100vw - 4.5rem)}
.bars th{white-space:nowrap}
td code,th code{display:inline-block;min-width:9rem}
td code.key{min-width:16rem}
td code.short,thead th code{min-width:0}
.who{display:block;color:var(--faint);font-size:.85rem;font-weight:400;overflow-wrap:anywhere}
.count{display:block;color:var(--faint);font-weight:400}
.matrix th,.matrix td{text-align:center;padding:.45rem .5rem}
.matrix th[scope=row],.matrix thead th:first-child{text-align:left;padding-left:.8rem;min-width:11.5rem;max-width:18rem}
.findings th code{min-width:14rem}
.begun th code{min-width:17rem}
.pending td code{white-space:nowrap}
.matrix thead th{min-width:7.2rem}
.may{display:inline-flex;gap:3px}
.may span{width:1.5rem;height:1.5rem;line-height:1.4rem;border-radius:5px;font-size:.78rem;font-weight:700;text-align:center;border:1px dashed var(--line);color:transparent}
.may .on{border:1px solid currentColor}
.may .r{background:var(--plan-ground);color:var(--plan)}
.may .w{background:var(--look-ground);color:var(--look)}
.may .d{background:var(--act-ground);color:var(--act)}
.may .g{background:var(--good-ground);color:var(--good)}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.4rem 1.2rem;margin:.7rem 0 0;padding:0;font-size:.88rem;color:var(--faint)}
.legend li{display:flex;align-items:center;gap:.4rem}
.hidden{position:absolute;width:1px;height:1px;margin:-1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.months{display:grid;grid-template-columns:repeat(auto-fill,minmax(10.5rem,1fr));gap:1.1rem 1.4rem;margin:1rem 0 0}
.months figure{margin:0}
.months figcaption{display:flex;justify-content:space-between;gap:.5rem;font-size:.9rem;font-weight:600;margin-bottom:.2rem}
.months figcaption span{color:var(--faint);font-weight:400}
.months svg{display:block;width:100%;height:auto}
svg text{font-family:inherit;text-anchor:middle}
.wd,.dn{fill:var(--faint);font-size:11px}
.cell{fill:var(--raised)}
.now{fill:none;stroke:var(--ink);stroke-width:2}
.mark{font-size:12px;font-weight:700}
.e .cell{fill:var(--act-ground);stroke:var(--act)}
.e text{fill:var(--act)}
.r .cell{fill:var(--plan-ground);stroke:var(--plan)}
.r text{fill:var(--plan)}
.g .cell{fill:var(--good-ground);stroke:var(--good)}
.g text{fill:var(--good)}
.a .cell,.m .cell{fill:var(--look-ground);stroke:var(--look)}
.a text,.m text{fill:var(--look)}
.bars svg{display:block;width:100%;min-width:4rem;height:1.25rem}
.bars td:last-child{width:60%;vertical-align:middle}
.bar{fill:var(--bar)}
.none{display:flex;gap:.5rem;align-items:baseline;margin:.8rem 0 0}
footer{padding-top:.6rem;padding-bottom:2.5rem;color:var(--faint);font-size:.88rem}
@media (max-width:40rem){header{padding-top:1.6rem}h1{font-size:1.55rem}header,nav,main,footer{padding-left:.9rem;padding-right:.9rem}section{padding:1.1rem 1rem 1.2rem;border-radius:10px}.facts{grid-template-columns:minmax(0,1fr);gap:0}.facts dd{margin:0 0 .45rem}.tiles{grid-template-columns:repeat(auto-fill,minmax(9.2rem,1fr));gap:.6rem}.months{grid-template-columns:repeat(2,minmax(0,1fr));gap:1rem}th,td{padding:.45rem .6rem}.bars tbody th{white-space:normal}.bars td:last-child{width:45%}table{min-width:44rem}table.bars,table.pending{min-width:0}.months figcaption{font-size:.85rem}}
";

const PRINT: &str = "\
@page{margin:14mm 13mm}
html{font-size:8.6pt}
body{background:none;font-size:10pt;line-height:1.4}
header,nav,main,footer{max-width:none;padding-left:0;padding-right:0}
header{padding-top:0;margin-bottom:7mm}
nav{display:none}
a{color:inherit;text-decoration:none}
section{border:0;border-radius:0;padding:0;margin:0 0 9mm;background:none}
h1{font-size:19pt}
h2{font-size:14pt;border-bottom:1px solid var(--edge);padding-bottom:1mm;margin-bottom:2mm}
h3{font-size:11pt}
h2,h3,caption,section>p{break-after:avoid}
p{break-inside:avoid}
.tiles{grid-template-columns:repeat(5,1fr);gap:2.5mm}
.tile,.months figure,tr,.legend,.facts{break-inside:avoid}
.months{grid-template-columns:repeat(4,1fr)}
.scroll{overflow:visible;border-radius:0}
table{font-size:8.5pt}
thead{display:table-header-group;break-inside:avoid;break-after:avoid}
table.bars{break-inside:avoid}
th,td{padding:1mm 1.6mm}
td,.who{overflow-wrap:anywhere}
td code,td code.key,th code,.findings th code,.begun th code{min-width:0}
table{min-width:0}
caption span{max-width:none}
.matrix thead th,.matrix th[scope=row],.matrix thead th:first-child{min-width:0}
.may span{width:1.25rem;height:1.25rem;line-height:1.15rem}
.tag,.tile,.may span,.bar,.cell,thead th{-webkit-print-color-adjust:exact;print-color-adjust:exact}
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_colour_comes_from_the_palette_and_nothing_from_elsewhere() {
        for rules in [RULES, PRINT] {
            assert!(!rules.contains("url(") && !rules.contains("@import") && !rules.contains('#'), "{rules}");
            for name in rules.split("var(--").skip(1).map(|rest| rest.split(')').next().unwrap()) {
                assert!(declarations(false).contains(&format!("--{name}:")), "{name}");
            }
        }
        assert_eq!(sheet().matches('{').count(), sheet().matches('}').count());
    }
}
