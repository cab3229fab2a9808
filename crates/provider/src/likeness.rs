//! Names that a directory may take for one. LDAP compares without regard to case, width, spaces and invisible characters (RFC
//! 4518 section 2), Active Directory without regard to accents too: whoever guesses at one account by its many spellings has one
//! count of tries. Two people whose names are alike then share theirs, which costs them little; it decides nothing else.

use icu_normalizer::DecomposingNormalizerBorrowed;
use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup};
use icu_properties::{CodePointMapData, CodePointSetData};

/// What all spellings of a name have in common.
pub(crate) fn likeness(name: &str) -> String {
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    let category = CodePointMapData::<GeneralCategory>::new();
    let unseen = |letter: char| {
        let category = category.get(letter);
        ignorable.contains(letter)
            || GeneralCategoryGroup::Mark.contains(category)
            || !letter.is_whitespace()
                && (GeneralCategoryGroup::Other.contains(category) && category != GeneralCategory::Unassigned)
    };
    // Both ways, since some letters have a capital that is two ("ß"), and some a small one that is another's.
    let plain = DecomposingNormalizerBorrowed::new_nfkd().normalize_iter(name.chars());
    let seen = plain.filter(|letter| !unseen(*letter));
    let folded = seen.flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    let again = DecomposingNormalizerBorrowed::new_nfkd().normalize_iter(folded);
    let folded: String = again.filter(|letter| !unseen(*letter)).collect();
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dex_l5_the_spellings_of_one_name_are_alike() {
        for spelling in [
            "ana  bell",
            "ANA BELL",
            " ana bell ",
            "\tana\u{a0}bell\r\n",
            "ana\u{3000}\u{2003}bell",
            "\u{ff41}\u{ff4e}\u{ff41} bell",
            "a\u{ad}na\u{200b} b\u{feff}ell",
            "ana\u{202e} bell\u{2066}",
            "ana bell\0\u{7f}",
            "\u{e1}na bell",
            "a\u{301}na b\u{eb}ll",
            "\u{1d4b6}na bell",
            "ana bel\u{2113}\u{fe0f}",
        ] {
            assert_eq!(likeness(spelling), "ana bell", "{spelling:?}");
        }
        for (one, other) in [
            ("stra\u{df}e", "STRASSE"),
            ("\u{130}van", "ivan"),
            ("\u{fb01}n", "FIN"),
            ("\u{3c3}\u{3b1}\u{3c2}", "\u{3a3}\u{391}\u{3a3}"),
        ] {
            assert_eq!(likeness(one), likeness(other));
        }
        for other in ["ana", "anabell", "ana.bell", "ana bel", "anna bell", ""] {
            assert_ne!(likeness(other), "ana bell", "{other:?}");
        }
        assert_eq!(likeness(" \u{200b} "), "");
    }
}
