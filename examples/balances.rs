//! The token balances of holders at the newest block of a node.
//!
//! ```sh
//! cargo run --release --example balances -- http://localhost:8545 0xTOKEN 0xHOLDER 0xHOLDER…
//! ```

use isolane::executor::{BlockTag, Call, Executor, RpcSource, Want};
use isolane::load::rpc::{Rpc, RpcSettings};
use isolane::spec::{H160, U256};
use std::error::Error;
use std::sync::Arc;

fn balance_of(holder: &H160) -> Vec<u8> {
    [&[0x70, 0xa0, 0x82, 0x31][..], &[0; 12], &holder.0].concat()
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(token)) = (arguments.next(), arguments.next()) else {
        return Err("expected the address of a node, a token and its holders".into());
    };
    let token: H160 = token.parse()?;
    let holders = arguments.map(|holder| holder.parse()).collect::<Result<Vec<H160>, _>>()?;

    let opened = RpcSource::open(Arc::new(Rpc::new(&url, RpcSettings::default())), BlockTag::Latest, None)?;
    let executor = Executor::builder().build()?;
    let snapshot = executor.snapshot(&opened.source, opened.block, opened.rules);
    let balances = executor.map(
        &snapshot,
        &holders,
        Want::OUTPUT,
        |holder| Call::new(token, balance_of(holder)),
        |_, outcome| match outcome.revert_reason() {
            Some(reason) => Err(reason.to_string()),
            None if outcome.is_success() && outcome.output.len() >= 32 => {
                Ok(U256::from_big_endian(&outcome.output[..32]))
            }
            None => Err(format!("no token: {}, {} bytes", outcome.status, outcome.output.len())),
        },
    );
    println!("block {} {:?}", snapshot.block().number, opened.hash);
    for (holder, balance) in holders.iter().zip(balances) {
        match balance? {
            Ok(balance) => println!("{holder:?} {balance}"),
            Err(problem) => println!("{holder:?} {problem}"),
        }
    }
    let asked = snapshot.cache_statistics();
    eprintln!("{} keys in {} rounds", asked.keys, asked.rounds);
    Ok(())
}
