//! The page's colours, in light and dark: one table, from which the style sheet is written and by which contrast is checked.

/// A colour by its name in the style sheet, in light and in dark, as `#rrggbb`.
struct Tone {
    name: &'static str,
    light: &'static str,
    dark: &'static str,
}

const fn tone(name: &'static str, light: &'static str, dark: &'static str) -> Tone {
    Tone { name, light, dark }
}

const TONES: [Tone; 17] = [
    tone("ground", "#f5f6f8", "#0f1318"),
    tone("sheet", "#ffffff", "#171c23"),
    tone("raised", "#eef1f5", "#202731"),
    tone("ink", "#1a2330", "#e6eaf0"),
    tone("faint", "#525e6d", "#a8b3c2"),
    tone("line", "#d6dce4", "#303a46"),
    tone("edge", "#7a8696", "#76849a"),
    tone("link", "#0b57a4", "#84bbf6"),
    tone("good", "#14613a", "#74d3a0"),
    tone("good-ground", "#e1f3e8", "#12301f"),
    tone("look", "#744700", "#f0c36d"),
    tone("look-ground", "#fdf0d5", "#382b0f"),
    tone("act", "#9c1529", "#ff9ba6"),
    tone("act-ground", "#fde7e9", "#401820"),
    tone("plan", "#1d4e89", "#9cc7f7"),
    tone("plan-ground", "#e3eefb", "#142b45"),
    tone("bar", "#3d74b5", "#5f9be0"),
];

/// Declarations of all colours, for one of the two schemes.
pub fn declarations(dark: bool) -> String {
    let of = |tone: &Tone| format!("--{}:{};", tone.name, if dark { tone.dark } else { tone.light });
    TONES.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written in which colour upon which.
    const TEXTS: [(&str, &str); 20] = [
        ("ink", "ground"),
        ("ink", "sheet"),
        ("ink", "raised"),
        ("faint", "ground"),
        ("faint", "sheet"),
        ("faint", "raised"),
        ("link", "ground"),
        ("link", "sheet"),
        ("link", "raised"),
        ("good", "sheet"),
        ("look", "sheet"),
        ("act", "sheet"),
        ("good", "good-ground"),
        ("look", "look-ground"),
        ("act", "act-ground"),
        ("plan", "plan-ground"),
        ("ink", "good-ground"),
        ("ink", "look-ground"),
        ("ink", "act-ground"),
        ("ink", "plan-ground"),
    ];
    /// What is drawn, and has to be seen.
    const DRAWN: [(&str, &str); 3] = [("bar", "sheet"), ("edge", "sheet"), ("link", "ground")];

    /// The relative luminance of WCAG 2.2.
    fn luminance(colour: &str) -> f64 {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn everything_written_and_drawn_stands_out() {
        assert!((contrast("#000000", "#ffffff") - 21.0).abs() < 0.001);
        for (pairs, least) in [(&TEXTS[..], 4.5), (&DRAWN[..], 3.0)] {
            for (front, back) in pairs {
                let find = |name: &str| TONES.iter().find(|tone| tone.name == name).unwrap();
                for (scheme, dark) in [("light", false), ("dark", true)] {
                    let colour = |name| if dark { find(name).dark } else { find(name).light };
                    let found = contrast(colour(front), colour(back));
                    assert!(found >= least, "{front} on {back}, {scheme}: {found:.2}");
                }
            }
        }
    }
}
