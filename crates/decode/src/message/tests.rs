use alloy_primitives::{B256, Bytes, address, b256};
use countersign_core::{
    abi::AbiValue,
    json::{Json, Limits},
    message::{Probe, Says},
    token::Asset,
};
use proptest::prelude::*;

use super::*;
use crate::{container::Container, standard::PERMIT2};

const WALLET: Address = address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
const OTHER: Address = address!("1111111111111111111111111111111111111111");
const TOKEN: Address = address!("5FbDB2315678afecb367f032d93F642f64180aa3");
const CHAIN: ChainId = ChainId(31337);
const SOON: u64 = 1_900_000_000;

fn json(text: &str) -> Json {
    Json::parse(text.as_bytes(), Limits::REQUEST).unwrap()
}

/// One of the vectors' messages, with parts of its text replaced.
fn message(title: &str, changes: &[(&str, &str)]) -> TypedData {
    let vectors = json(include_str!("vectors/digests.json"));
    let cases = vectors.get("typed_data").unwrap().as_list().unwrap();
    let case = cases.iter().find(|case| case.get("title").unwrap().as_text() == Some(title));
    let mut text = case.unwrap_or_else(|| panic!("{title}")).get("data").unwrap().to_string();
    for (part, other) in changes {
        assert!(text.contains(part), "{part} in {text}");
        text = text.replace(part, other);
    }
    TypedData::parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Knows the vectors' token.
fn registry() -> Registry {
    let mut registry = Registry::new();
    registry.add_token(TOKEN);
    registry
}

fn signing(data: &TypedData) -> Authority {
    typed_data_authority(WALLET, CHAIN, data, &registry())
}

fn effects(title: &str, changes: &[(&str, &str)]) -> Vec<Effect> {
    signing(&message(title, changes)).actions.into_iter().map(|action| action.effect).collect()
}

fn lasting(title: &str, changes: &[(&str, &str)]) -> Lasting {
    signing(&message(title, changes)).lasting.unwrap()
}

fn approve(asset: &Asset, spender: Address, amount: U256, deadline: Option<U256>) -> Effect {
    let most = U256::MAX.wrapping_shr(96);
    let unlimited = amount == U256::MAX || amount == most;
    let asset = asset.clone();
    Effect::Approve { asset, owner: WALLET, spender, amount, unlimited, deadline }
}

fn is_unknown(title: &str, changes: &[(&str, &str)]) {
    let effects = effects(title, changes);
    assert!(matches!(effects.as_slice(), [Effect::TypedData { .. }]), "{changes:?}: {effects:?}");
}

fn is_opaque(title: &str, changes: &[(&str, &str)]) {
    let effects = effects(title, changes);
    assert!(matches!(effects.as_slice(), [Effect::Opaque { .. }]), "{changes:?}: {effects:?}");
}

const fn number(number: u64) -> U256 {
    U256::from_limbs([number, 0, 0, 0])
}

const PERMIT: &str = "ERC-2612 permit";

#[test]
fn a_permit_is_an_approval() {
    let token = Asset::Token(TOKEN);
    let expected = approve(&token, OTHER, number(1_000_000), Some(number(SOON)));
    assert_eq!(effects(PERMIT, &[]), [expected]);
    let unlimited = approve(&token, OTHER, U256::MAX, Some(U256::MAX));
    assert_eq!(effects("ERC-2612 permit, unlimited", &[]), [unlimited]);
    let revoke = Effect::Revoke { asset: token, spender: OTHER };
    assert_eq!(effects(PERMIT, &[("\"1000000\"", "\"0\"")]), [revoke]);
}

#[test]
fn a_signature_carries_its_message_and_lasts_until_its_deadline_or_nonce() {
    let signed = signing(&message(PERMIT, &[]));
    let [action] = signed.actions.try_into().unwrap();
    assert_eq!((action.via, action.depth, action.target), (Via::Signature, 0, Some(TOKEN)));
    assert_eq!((action.label.as_str(), action.selector), ("approve", None));
    assert_eq!(action.functions[0].args.at("nonce"), Some(&AbiValue::Uint(number(3))));
    let call = [&[0x7e, 0xce, 0xbe, 0x00][..], WALLET.into_word().as_slice()].concat();
    let says = Says::Above(number(3));
    let nonce = Probe { contract: TOKEN, call: call.into(), word: 0, says };
    assert_eq!(signed.lasting, Some(Lasting { until: Some(SOON), used_up: vec![nonce] }));
    assert_eq!(lasting("ERC-2612 permit, unlimited", &[]).until, None);
}

/// A number may be anything at a contract that nobody registered, so nothing there takes away.
#[test]
fn at_an_unknown_contract_nothing_is_a_revocation() {
    let elsewhere = "0x2222222222222222222222222222222222222222";
    let changes =
        [("0x5FbDB2315678afecb367f032d93F642f64180aa3", elsewhere), ("\"1000000\"", "\"0\"")];
    let asset = Asset::Token(elsewhere.parse().unwrap());
    assert_eq!(effects(PERMIT, &changes), [approve(&asset, OTHER, U256::ZERO, Some(number(SOON)))]);
}

#[test]
fn a_permit_of_another_account_is_opaque() {
    let other = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
    let mine = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
    for title in [PERMIT, "DAI permit", "EIP-3009 transfer", "a Seaport order"] {
        is_opaque(title, &[(mine, other)]);
    }
}

/// What looks like a permit but is hashed as something else is something else.
#[test]
fn a_type_that_is_not_wholly_known_is_unknown() {
    let deadline = r#"{"name":"deadline","type":"uint256"}"#;
    let more = r#"{"name":"deadline","type":"uint256"},{"name":"extra","type":"uint256"}"#;
    let narrow = r#"{"name":"deadline","type":"uint48"}"#;
    is_unknown(PERMIT, &[(deadline, more), ("\"1900000000\"", "\"1900000000\",\"extra\":0")]);
    is_unknown(PERMIT, &[(deadline, narrow)]);
    is_unknown(PERMIT, &[("Permit", "Permit0")]);
    is_unknown(PERMIT, &[("\"spender\"", "\"operator\"")]);
    is_unknown("the mail of EIP-712", &[("\"chainId\":1,", "\"chainId\":31337,")]);
}

#[test]
fn a_domain_that_does_not_fit_makes_the_message_unknown() {
    let permit2 = "0x000000000022D473030F116dDEE9F6B43aC78BA3";
    let token = "0x5FbDB2315678afecb367f032d93F642f64180aa3";
    is_unknown(PERMIT, &[(token, permit2)]);
    for title in ["Permit2 PermitSingle", "Permit2 PermitTransferFrom", "x402 over Permit2"] {
        is_unknown(title, &[(permit2, token)]);
        is_unknown(title, &[("\"name\":\"Permit2\"", "\"name\":\"Permit3\"")]);
    }
    is_unknown("a Seaport order", &[("\"1.6\"", "\"1.5\"")]);
    is_unknown("a Seaport order", &[("0x0000000000000068F116a894984e2DB1123eB395", token)]);
    is_unknown("a CoW order", &[("\"v2\"", "\"v3\"")]);
    is_unknown("a packed user operation", &[("\"ERC4337\"", "\"ERC4338\"")]);
    is_unknown("a delegation", &[("0xdb9B1e94B5b69Df7e401DDbedE43491141047dB3", token)]);
    let mut collections = Registry::new();
    collections.add_collection(TOKEN, crate::Collection::Erc721);
    let [action] = typed_data_authority(WALLET, CHAIN, &message(PERMIT, &[]), &collections)
        .actions
        .try_into()
        .unwrap();
    assert_eq!(action.effect.kind(), "typed_data");
}

#[test]
fn a_domain_without_a_chain_is_opaque_and_one_without_a_contract_unknown() {
    is_opaque(PERMIT, &[("\"chainId\":31337", "\"chainId\":1")]);
    let chain = r#"{"name":"chainId","type":"uint256"},"#;
    is_opaque(PERMIT, &[(chain, ""), ("\"chainId\":31337,", "")]);
    let contract = r#",{"name":"verifyingContract","type":"address"}"#;
    let at = r#","verifyingContract":"0x5FbDB2315678afecb367f032d93F642f64180aa3""#;
    is_unknown(PERMIT, &[(contract, ""), (at, "")]);
    let zero = "0x0000000000000000000000000000000000000000";
    is_unknown(PERMIT, &[("0x5FbDB2315678afecb367f032d93F642f64180aa3", zero)]);
}

/// What moves nothing has no end that anybody waits for.
#[test]
fn what_moves_nothing_is_not_watched() {
    for (title, changes) in [
        (PERMIT, &[("\"1000000\"", "\"0\"")][..]),
        ("Permit2 PermitSingle", &[("\"1000000\"", "\"0\"")]),
        ("DAI permit", &[("true", "false")]),
        ("a delegation", &[]),
        (PERMIT, &[("Permit", "Permit0")]),
        (PERMIT, &[("\"chainId\":31337", "\"chainId\":1")]),
    ] {
        assert_eq!(signing(&message(title, changes)).lasting, None, "{title}");
    }
}

#[test]
fn a_dai_permit_is_all_or_nothing_and_may_have_no_end() {
    let token = Asset::Token(TOKEN);
    assert_eq!(effects("DAI permit", &[]), [approve(&token, OTHER, U256::MAX, None)]);
    assert_eq!(lasting("DAI permit", &[]).until, None);
    let expiring = [("\"expiry\":\"0\"", "\"expiry\":\"1900000000\"")];
    assert_eq!(
        effects("DAI permit", &expiring),
        [approve(&token, OTHER, U256::MAX, Some(number(SOON)))]
    );
    assert_eq!(lasting("DAI permit", &expiring).until, Some(SOON));
    let revoke = Effect::Revoke { asset: token, spender: OTHER };
    assert_eq!(effects("DAI permit", &[("true", "false")]), [revoke]);
}

#[test]
fn an_item_of_a_collection_can_be_permitted() {
    let text = r#"{"types": {"EIP712Domain": [{"name": "chainId", "type": "uint256"}, {"name": "verifyingContract", "type": "address"}],
        "Permit": [{"name": "spender", "type": "address"}, {"name": "tokenId", "type": "uint256"}, {"name": "nonce", "type": "uint256"}, {"name": "deadline", "type": "uint256"}]},
        "primaryType": "Permit", "domain": {"chainId": 31337, "verifyingContract": "0x2222222222222222222222222222222222222222"},
        "message": {"spender": "0x1111111111111111111111111111111111111111", "tokenId": 7, "nonce": 0, "deadline": 1900000000}}"#;
    let data = TypedData::parse(text).unwrap();
    let signed = signing(&data);
    let collection = address!("2222222222222222222222222222222222222222");
    let asset = Asset::Item { collection, id: number(7) };
    assert_eq!(signed.actions[0].effect, approve(&asset, OTHER, U256::ONE, Some(number(SOON))));
    assert_eq!(signed.lasting, Some(Lasting { until: Some(SOON), used_up: Vec::new() }));
}

#[test]
fn an_authorisation_is_a_transfer() {
    let to = Effect::Transfer {
        asset: Asset::Token(TOKEN),
        from: WALLET,
        to: OTHER,
        amount: number(10_000),
    };
    let transfer = "EIP-3009 transfer";
    assert_eq!(effects(transfer, &[]), std::slice::from_ref(&to));
    assert_eq!(effects(transfer, &[("TransferWith", "ReceiveWith")]), [to]);
    let lasting = lasting(transfer, &[]);
    assert_eq!(lasting.until, Some(SOON - 1), "valid before, not until");
    let nonce = &lasting.used_up[0];
    assert_eq!(nonce.contract, TOKEN);
    let call =
        [&[0xe9, 0x4a, 0x01, 0x02][..], &WALLET.into_word()[..], &B256::repeat_byte(0xab)[..]]
            .concat();
    assert_eq!(nonce.call, Bytes::from(call));
    assert_eq!(nonce.read(&B256::with_last_byte(1)[..]), Some(true));
}

#[test]
fn permit2_allowances_end_when_they_say() {
    let deadline = Some(number(SOON));
    let one = approve(&Asset::Token(TOKEN), OTHER, number(1_000_000), deadline);
    assert_eq!(effects("Permit2 PermitSingle", &[]), std::slice::from_ref(&one));
    let forever = U256::MAX.wrapping_shr(208);
    let most = U256::MAX.wrapping_shr(96);
    let other = approve(&Asset::Token(OTHER), OTHER, most, Some(forever));
    let batch = "Permit2 PermitBatch";
    assert_eq!(effects(batch, &[]), [one, other]);
    let lasting_of_both = lasting(batch, &[]);
    assert_eq!(lasting_of_both.until, Some(SOON), "the signature's own deadline");
    // used together, so the first one's nonce tells
    let [nonce] = lasting_of_both.used_up.try_into().unwrap();
    assert_eq!((nonce.contract, nonce.word), (PERMIT2, 2));
    assert_eq!(nonce.says, Says::Above(U256::ZERO));
    assert_eq!(nonce.call[36..68], TOKEN.into_word()[..]);
    // an allowance that ends before the signature's deadline
    let short = [("\"expiration\":\"1900000000\"", "\"expiration\":\"1800000000\"")];
    assert_eq!(lasting("Permit2 PermitSingle", &short).until, Some(1_800_000_000));
    // an allowance for the second of its use only
    let now = [("\"expiration\":\"1900000000\"", "\"expiration\":\"0\"")];
    assert_eq!(
        effects("Permit2 PermitSingle", &now),
        [approve(&Asset::Token(TOKEN), OTHER, number(1_000_000), deadline)]
    );
    let revoke = Effect::Revoke { asset: Asset::Token(TOKEN), spender: OTHER };
    assert_eq!(effects("Permit2 PermitSingle", &[("\"1000000\"", "\"0\"")]), [revoke]);
}

#[test]
fn a_permit2_transfer_is_the_spenders() {
    let title = "Permit2 PermitTransferFrom";
    let expected = approve(&Asset::Token(TOKEN), OTHER, number(5), Some(number(SOON)));
    assert_eq!(effects(title, &[]), std::slice::from_ref(&expected));
    let nonce = lasting(title, &[]).used_up.swap_remove(0);
    // nonce 258 is bit 2 of word 1
    assert_eq!(nonce.says, Says::AnyOf(number(4)));
    assert_eq!(nonce.call[36..], B256::with_last_byte(1)[..]);
    let batch = [
        ("PermitTransferFrom", "PermitBatchTransferFrom"),
        ("\"type\":\"TokenPermissions\"", "\"type\":\"TokenPermissions[]\""),
        (
            r#"{"token":"0x5FbDB2315678afecb367f032d93F642f64180aa3","amount":"5"}"#,
            r#"[{"token":"0x5FbDB2315678afecb367f032d93F642f64180aa3","amount":"5"},{"token":"0x5FbDB2315678afecb367f032d93F642f64180aa3","amount":"5"}]"#,
        ),
    ];
    assert_eq!(effects(title, &batch), [expected.clone(), expected]);
    let mut empty = batch;
    empty[2].1 = "[]";
    is_unknown(title, &empty);
}

#[test]
fn x402_pays_whom_the_witness_names() {
    let title = "x402 over Permit2";
    let to =
        Effect::Transfer { asset: Asset::Token(TOKEN), from: WALLET, to: OTHER, amount: number(5) };
    assert_eq!(effects(title, &[]), std::slice::from_ref(&to));
    assert_eq!(lasting(title, &[]).until, Some(SOON));
    let facilitator = (
        r#"{"name":"to","type":"address"},"#,
        r#"{"name":"to","type":"address"},{"name":"facilitator","type":"address"},"#,
    );
    let named = (
        r#""witness":{"#,
        r#""witness":{"facilitator":"0x1111111111111111111111111111111111111111","#,
    );
    let proxy = (
        "0x402085c248EeA27D92E8b30b2C58ed07f9E20001",
        "0x4020A4f3b7b90ccA423B9fabCc0CE57C6C240002",
    );
    assert_eq!(effects(title, &[facilitator, named, proxy]), [to]);
    // the same words through another contract are terms of that contract
    for changes in [&[proxy][..], &[facilitator, named]] {
        let effects = effects(title, changes);
        assert!(
            matches!(effects.as_slice(), [Effect::Approve { .. }, Effect::TypedData { .. }]),
            "{effects:?}"
        );
    }
}

#[test]
fn an_unknown_witness_is_an_approval_and_unknown_terms() {
    let spender = address!("402085c248EeA27D92E8b30b2C58ed07f9E20001");
    let changes = [("\"type\":\"Witness\"", "\"type\":\"Order\""), ("\"Witness\":", "\"Order\":")];
    let [approval, terms] = effects("x402 over Permit2", &changes).try_into().unwrap();
    let asset = Asset::Token(TOKEN);
    assert_eq!(approval, approve(&asset, spender, number(5), Some(number(SOON))));
    let Effect::TypedData { primary_type, message, .. } = terms else { panic!("{terms:?}") };
    assert_eq!(primary_type, "PermitWitnessTransferFrom");
    assert_eq!(message.at("witness.to"), Some(&AbiValue::Address(OTHER)));
}

fn sold(asset: Asset, to: Address, amount: U256) -> Effect {
    Effect::Transfer { asset, from: WALLET, to, amount }
}

#[test]
fn a_seaport_order_offers_at_its_maximum() {
    let title = "a Seaport order";
    let seaport = address!("0000000000000068F116a894984e2DB1123eB395");
    let [offer, terms] = signing(&message(title, &[])).actions.try_into().unwrap();
    let asset = Asset::Item { collection: TOKEN, id: number(42) };
    assert_eq!(offer.effect, sold(asset.clone(), seaport, U256::ONE));
    assert_eq!((terms.effect.kind(), terms.spends), ("typed_data", Some(Vec::new())));
    let of = |kind: &str, end: &str| {
        let item = format!(r#""itemType":{kind},"token":"0x5Fb"#);
        let amount = format!(r#""startAmount":"1","endAmount":"{end}""#);
        let changes = [
            (r#""itemType":2,"token":"0x5Fb"#, item.as_str()),
            (r#""startAmount":"1","endAmount":"1""#, amount.as_str()),
        ];
        effects(title, &changes).swap_remove(0)
    };
    assert_eq!(of("1", "9"), sold(Asset::Token(TOKEN), seaport, number(9)));
    assert_eq!(of("3", "0"), sold(asset, seaport, number(1)));
    assert_eq!(of("4", "1"), sold(Asset::Collection(TOKEN), seaport, number(1)));
    assert_eq!(of("0", "1").kind(), "typed_data");
    let lasting = lasting(title, &[]);
    assert_eq!(lasting.until, Some(SOON - 1));
    assert_eq!((lasting.used_up[0].word, lasting.used_up[0].contract), (2, seaport));
}

#[test]
fn a_cow_order_sells_at_most_what_it_says() {
    let title = "a CoW order";
    let settlement = address!("9008D19f58AAbD9eD0D60971565AA8510560ab41");
    let [sale, terms] = signing(&message(title, &[])).actions.try_into().unwrap();
    assert_eq!(sale.effect, sold(Asset::Token(TOKEN), settlement, number(1001)));
    assert_eq!((terms.effect.kind(), terms.spends), ("typed_data", Some(Vec::new())));
    let lasting = lasting(title, &[]);
    assert_eq!(lasting.until, Some(SOON));
    // selector, offset, length 56, digest ‖ owner ‖ valid to, eight zeros
    let call = &lasting.used_up[0].call;
    assert_eq!(call.len(), 4 + 32 + 32 + 64);
    assert_eq!(call[68..100], message(title, &[]).digest()[..]);
    assert_eq!(call[100..120], WALLET[..]);
    assert_eq!(call[120..124], 1_900_000_000_u32.to_be_bytes());
    let much = [("\"sellAmount\":\"1000\"", &*format!("\"sellAmount\":\"{}\"", U256::MAX))];
    let most = sold(Asset::Token(TOKEN), settlement, U256::MAX);
    assert_eq!(effects(title, &much).swap_remove(0), most);
}

/// Knows the vectors' token and its Safe.
fn registry_with_safe() -> Registry {
    let mut registry = registry();
    registry.add_container(OTHER, Container::Safe);
    registry
}

fn of_safe(changes: &[(&str, &str)]) -> Authority {
    typed_data_authority(WALLET, CHAIN, &message("a SafeTx", changes), &registry_with_safe())
}

#[test]
fn a_safes_transaction_is_what_the_safe_would_do() {
    let signed = of_safe(&[]);
    let [action] = signed.actions.try_into().unwrap();
    let to = Address::ZERO;
    let asset = Asset::Token(TOKEN);
    assert_eq!(action.effect, Effect::Transfer { asset, from: OTHER, to, amount: U256::ZERO });
    assert_eq!((action.via, action.depth, action.target), (Via::Signature, 1, Some(TOKEN)));
    let says = Says::Above(number(9));
    let call = Bytes::from(vec![0xaf, 0xfe, 0xd0, 0xe0]);
    let nonce = Probe { contract: OTHER, call, word: 0, says };
    assert_eq!(signed.lasting, Some(Lasting { until: None, used_up: vec![nonce] }));
    let effects = |changes: &[(&str, &str)]| -> Vec<Effect> {
        of_safe(changes).actions.into_iter().map(|action| action.effect).collect()
    };
    let delegations = effects(&[("\"operation\":0", "\"operation\":1")]);
    let [Effect::Delegate { account: OTHER, delegate: TOKEN, .. }] = delegations.as_slice() else {
        panic!("{delegations:?}")
    };
    is_opaque("a SafeTx", &[("\"operation\":0", "\"operation\":2")]);
    let refunds = effects(&[("\"gasPrice\":\"0\"", "\"gasPrice\":\"3\"")]);
    let (asset, to) = (Asset::Native, Address::ZERO);
    let paid = Effect::Transfer { asset, from: OTHER, to, amount: U256::MAX };
    assert_eq!(refunds.last(), Some(&paid), "to whoever sends it");
    let odd = effects(&[("0xa9059cbb", "0x"), (&"00".repeat(64), "0102030405")]);
    assert!(matches!(odd.as_slice(), [Effect::Call]), "{odd:?}");
}

/// Whoever is not registered as a Safe may be anything, so the call to it stays beside what it reads as.
#[test]
fn a_transaction_of_what_may_be_no_safe_is_a_call_besides() {
    let actions = signing(&message("a SafeTx", &[])).actions;
    let kinds: Vec<_> = actions.iter().map(|action| action.effect.kind()).collect();
    assert_eq!(kinds, ["call", "transfer"]);
    assert!(actions.iter().all(|action| action.via == Via::Signature));
}

#[test]
fn several_calls_of_a_safe_are_read_one_by_one() {
    let send = "0xA1dabEF33b3B82c7814B6D82A79e50F4AC44102B";
    let one = format!("00{}{:064x}{:064x}", "77".repeat(20), 5, 0);
    let data = format!("0x8d80ff0a{:064x}{:064x}{one}{one}{}", 32, 170, "00".repeat(22));
    let call = format!("0xa9059cbb{}", "00".repeat(64));
    let to = "\"to\":\"0x5FbDB2315678afecb367f032d93F642f64180aa3\"";
    let changes = [
        (to, &*format!("\"to\":\"{send}\"")),
        (&call, &data),
        ("\"operation\":0", "\"operation\":1"),
    ];
    let effects: Vec<_> = of_safe(&changes).actions.into_iter().map(|a| a.effect).collect();
    let (asset, to) = (Asset::Native, Address::repeat_byte(0x77));
    let paid = Effect::Transfer { asset, from: OTHER, to, amount: number(5) };
    assert_eq!(effects, [paid.clone(), paid]);
}

#[test]
fn an_operation_of_an_account_calls_pays_and_stays_unknown_besides() {
    let title = "a packed user operation";
    let [call, fee, terms] = signing(&message(title, &[])).actions.try_into().unwrap();
    assert_eq!(call.effect, Effect::Call);
    assert_eq!((call.target, call.depth), (Some(WALLET), 0));
    let entry_point = address!("4337084D9E255Ff0702461CF8895CE9E3b5Ff108");
    // (0 verification + 0x0102 execution + 21 000) × 5
    let amount = number((0x0102 + 21_000) * 5);
    let expected = Effect::Transfer { asset: Asset::Native, from: WALLET, to: entry_point, amount };
    assert_eq!(fee.effect, expected);
    assert_eq!((terms.effect.kind(), terms.spends), ("typed_data", None));
    let paid = [("\"paymasterAndData\":\"0x\"", "\"paymasterAndData\":\"0x11\"")];
    let kinds: Vec<_> = effects(title, &paid).iter().map(Effect::kind).collect();
    assert_eq!(kinds, ["call", "typed_data"]);
}

#[test]
fn a_delegation_lets_somebody_act() {
    let delegate = Effect::Delegate { account: WALLET, delegate: OTHER, chain: Some(CHAIN) };
    assert_eq!(effects("a delegation", &[]), [delegate]);
}

#[test]
fn a_message_has_at_most_so_many_leaves() {
    let details = r#"{"token":"0x5FbDB2315678afecb367f032d93F642f64180aa3","amount":"1000000","expiration":"1900000000","nonce":"0"}"#;
    let many = |count: usize| vec![details; count].join(",");
    let batch = |count: usize| message("Permit2 PermitBatch", &[(details, &many(count))]);
    assert_eq!(signing(&batch(60)).actions.len(), 61);
    let [refused] = signing(&batch(crate::LEAVES_MAX)).actions.try_into().unwrap();
    assert!(matches!(refused.effect, Effect::Opaque { .. }));
}

/// Numbers from the contracts themselves.
#[test]
fn types_are_the_contracts_own() {
    let hashes = [
        (PERMIT, b256!("6e71edae12b1b97f4d1f60370fef10105fa2faae0126114a169c64845d6126c9")),
        ("DAI permit", b256!("ea2aa0a1be11a07ed86d755c93467f4f82362b452371d1ba94d1715123511acb")),
        (
            "EIP-3009 transfer",
            b256!("7c7c6cdb67a18743f49ec6fa9b35f50d52ed05cbed4cc592e13b44501c1a2267"),
        ),
        ("a SafeTx", b256!("bb8310d486368db6bd6f849402fdd73ad53d316b5a4b2644ad6efe0f941286d8")),
        ("a CoW order", b256!("d5a25ba2e97094ad7d83dc28a6572da797d6b3e7fc6663bd93efb789fc17e489")),
        (
            "a packed user operation",
            b256!("29a0bca4af4be3421398da00295e58e6d7de38cb492214754cb6a47507dd6f8e"),
        ),
    ];
    for (title, hash) in hashes {
        let kind = message(title, &[]).encode_type();
        assert_eq!(alloy_primitives::keccak256(&kind), hash, "{kind}");
    }
}

proptest! {
    /// Any field of any known message may hold anything: there is an answer, each leaf came with a signature, and
    /// value goes from nobody else than the wallet or the account that the message is about.
    #[test]
    fn any_message_is_at_least_one_action(
        case in 0_usize..15,
        number in prop_oneof![Just(U256::ZERO), Just(U256::MAX), any::<u64>().prop_map(U256::from)],
    ) {
        let vectors = json(include_str!("vectors/digests.json"));
        let data = vectors.get("typed_data").unwrap().as_list().unwrap()[case].get("data").unwrap();
        let mut text = data.to_string();
        for old in ["\"1900000000\"", "\"1000000\"", "\"0\"", "\"1\"", "\"5\""] {
            text = text.replace(old, &format!("\"{number}\""));
        }
        if let Ok(data) = TypedData::parse(&text) {
            let actions = signing(&data).actions;
            prop_assert!(!actions.is_empty());
            for action in actions {
                prop_assert_eq!(action.via, Via::Signature);
            }
        }
    }
}
