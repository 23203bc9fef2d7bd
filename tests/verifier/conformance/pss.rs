//! RSA-PSS with salts of other lengths than the hash's (RFC 7518 §3.5), signed by another implementation: OpenSSL 3, as
//! `openssl dgst -sha256 -sign key.pem -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:0`, with the private key of RFC 7515
//! appendix A.2.1, whose tokens are by `joe`.

use super::{Case, field};
use testkit::signing::encode;

pub(crate) fn cases() -> Vec<Case> {
    SIGNATURES
        .iter()
        .map(|(alg, salt, signature)| {
            let input = format!("{}.{}", encode(format!(r#"{{"alg":"{alg}"}}"#)), encode(CLAIMS));
            let is_hash_long = [("PS256", 32), ("PS384", 48), ("PS512", 64)].contains(&(*alg, *salt));
            let expected = if is_hash_long { "-> billing" } else { "signature_invalid" };
            let what = format!("{alg} by OpenSSL with a salt of {salt} bytes");
            field("RFC 7518 3.5", what, format!("Bearer {input}.{signature}"), expected)
        })
        .collect()
}

const CLAIMS: &str = r#"{"iss":"joe","aud":"mail","sub":"billing","exp":1767225900}"#;

/// Algorithm, length of the salt, signature.
#[rustfmt::skip]
const SIGNATURES: [(&str, u16, &str); 9] = [
    ("PS256", 32, "QJRzZJzjDbG2L1I6uaRH13yqJoGY7JCYZCP5XJ7SWuVlQ_bcW3onotk8cSCFIpaFb-QGWeaRQRwMOtNhpul1Yk98rQsoqsmrniG8_42\
        Mun9coqqWakCbfiopa6aC1oTrIf2K2MFb2jKurzojCnAo9AxqaB8Cae47VNVOBIBjqzRl0rT02QnhLrXeqK9UnrVH1KZ1_NeUx8pnkhKTilycrCTnl\
        yU1rMCgj8WRlsULy33ilkfehMwIUAvWGOd4eysNXRfOV4HMYkmGsvP9AwJzORFPoRl-wIugIxzEnI5ueJZiMqzxXBtOds6ApVPAaY2oRuS4wKRd6N_\
        kUgWa4KH1OQ"),
    ("PS256", 0, "KScT7k0JUpSbLkXnnr23zw3mcv2rYTbzD7O1f5VpEVS4mO3_5YubxLr3ivxbR-0v_XbWt4KcARENl68JUZ0d_p_YUh-3FznAtWfMkADG\
        bQeWUap_58dAwfJ1trOkzRlSdQc0o8zvPhaKJ7WhhiWWCXbj-TZQIGMtkpq-Gs_IS6UOUa467BxWSFBQCjofWEq_-__QA24hM-fdENzBF71FoZLfqb\
        aP-HnXy7XTbxb5Z8FPsH_4ZZ2oAXwwmN8Z638zx6yP-qrZrZNublqDtSZ58PVcef7aR2oaCK4R-k8LVfiNQV3z06bvlkrUwNggHsUD-uZR4m8ME7k7\
        Gb5jJ8gnFg"),
    ("PS256", 222, "IbWPS9d4kKN7aCEBIWtvamsDCaFNSaEOP7TC2uWqFn1wke-a3mQ4L4GeOP7zFrbncLQE1un4MWWceT9_es2D8vwNsPsNjVNJHR-x5E\
        BqblIZh0yn3nbPqCqfELD7IIhwItKZ1ymoCMsTpwPezxvZfsfb1W1ERDoglLlH6XhL_Re2iqe7_jd9c2Wu9_G--R46twrP718WLjUoYNLDNC5JZEVQ\
        Pbi3Mqhr9tMffdTKG1CKiEOwQWQCfT0RQXZVNcmLwjZ1ZBebFmH-Q6CGjIzQMI6HjCGyDOYMPdQePkgK4ZeuNNp6ea8U2oJkp5MocPZp3poVgsPZZ6\
        Aog-zISlXyEw"),
    ("PS384", 48, "Uw2ooJnHYbollfjIieqhR2Y2yARBu8u-eh4IsQN_5LThAwboqHNuGWBTnFEHEeq0KpV59qxyQGDRD3dJy_Dnic_Uq2-wo9TErYLiQv1\
        1fIaxN_1AdtAmu7jlOn3G2srOetxkKLfOFU2_6PI8jkAD2GGEmDzJ17GbX9W3k2nRs1OHm5m2lgNjb-7cHF26c0jZ7O11ZVWzZpGyvn1ji704Ivsnx\
        MoI8EOlnPKfmYe3cwvQ11HGzwOpAooHdeh26wxmq5PLURnqoTJlB5_uPSzv46TfE_ohA0vPIABmkKwj_7o9dIRiHH7sGAPAPjsFXfYQ01UhJL4YqIi\
        DOQkoQobODA"),
    ("PS384", 0, "fWSKb4ZNRiarEQ-o79P-stedfX2rvbX9HcLevicaKN5YppTgOPYq1ASDZZK8IAPGGyvGD9rVr5c3Ew9q8m07mF1UVyLVQ3URa_ol9UFq\
        djDQfAJXDqkFZLP7VrfLwHE2qh3WimXH96Zv1ZBGEG7HxrywryPtEnWRWo96_JE9WqLJHwbYLzsGi7GFG0qH1YMrqf3Dg5RMJwmXk6Onvds--XfRhD\
        qIA1CaHxnWAezC0FRU8yIv8WpEA5Ol6SUQwnbyb60J51C7UkXayDaCj3F8EcEfTcN7pglwmDnV3CPEq6bujCpBB0U1AWDBxuc2lqgyOrI9HPoEHiSz\
        OyC0g0FKQQ"),
    ("PS384", 206, "PrEf16MVvDWyR2SaNATWJ34Fc6U0MGFEbzQGMmSiX00Y9VqOtbvlC_7VMCmZbBsHBeeadOe3KH55LiMhw4G9LQOMaRoXhMVog2-t03\
        FNdb0cvXzJniyARbqk1Ek0Fgc2mE41K-aqRoHX8dEFxDJbfHU5uQ2uPoOJZ02J4NFLKYxfsdORNXGbVRiIlwm1IC62Vh63ABMc__Ap_SsdWr3xbCoB\
        XRPrLSx7f-HUMoYZ27oGP2VoEAyMkpSx_0joavfqM-ioFShuA3xZLs5_gmFlWYnur88RRk0yQZQndWDvk4NMf-R7nFd5g_7cUf5ewaNxj5--arXx8d\
        DB_IHhbEABnw"),
    ("PS512", 64, "IF_uH-4N0Uymz5u5_vOqTtuMS3m52Vs22f1MDT_AQHcJbAv0Gqb12NbKBVPBhKDse9n0zPXe2GYFd6ASGK5F0J2AwUmhr7px4QIyuL5\
        lcfOFdjLWUuQ-Yrk1kyjQAjj-Xv4T0rlNF2TlSxnDJGt53wD4BRICOx_ZmJ8cE4MIN4XEyIHxRHlGR_DSDlsEXSSuE4Va9jcKr5JAKPwk1Ai7mT-Sd\
        JawiS9SeHGouXTK_CPwkbNmtxbSKL8SfDQCn7QEGCvq_-F_LG-wUVYXra3bgLFocKHJ3Lwd1DTR9u8rOrMJL9sYR6JyKYUit6754Vte5ZkwkHLmwxy\
        hNCpsotXjPg"),
    ("PS512", 0, "K2RER5VuQM8cH-5QWHUxMXEsHyNLzH6Hg2loRJjVDAlJwM7jcH1wMnGoWQ7JEtyBchnx5vcZOiVMsqeimxpdSMKsr2tlWgesBnVjok0G\
        SlOATEK9S16kP2YgGotf2QRLTL08SvTXcIwLIHCRJDEFvIJPF8Qpow5jwpYyWB7PNhEfaAXz7McF5RVMjUVJZqfAQ22HAOKfHVAO6DXnAaXNYZuup4\
        OIZNQnKYZNvnZSLlnx-62CwWnFXImUhkPuCeQS3cOcxAGGR0yKPwI2GZFxyplkmInJAjtS0ByzZhHydyzaPceJiRCSGUh10EERg13ieoDQShCVzLus\
        BM696LqLRA"),
    ("PS512", 190, "j2cTUDDBQkc3eYA7uD5LwJCJLbDKEOJUBLK5HMZTVepEu5riLuVGL3jWtthOErdWlQD0DtY3KUf8Id8yD9u0Yd9CE_upXcDfMoErUw\
        1OxPur-o7-EN6an83568zcPEMzxZhDKmnHaVWYAHq07kFoqD-_zKzTmx7-OG1JoBbX81DlFocMxNQZi3qw1KkGSC8xJh1v2TpuAO3_pagriaOFXneb\
        -SG5XqGFVrL6mxSKDYD0Nf_8SDYJUTz1O_C8handdSKDFEl0CiNW0eLrTfjduJ_y-xdZK1J5McsK5ZSWOLX7K5kWe6rTSw4hvArkzNkVumAHs2c1Gm\
        Noso4dxo879A"),
];
