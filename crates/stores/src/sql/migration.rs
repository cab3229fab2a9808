//! Bringing the tables up to date, by one replica at a time.

use super::{Engine, Fault, Shared, Value};

impl<E: Engine> Shared<E> {
    /// Where the tables are as this program knows them, nothing is changed, and no right to change them is needed.
    pub(super) async fn migrate(&self) -> Result<(), Fault> {
        let latest = E::STEPS.len();
        match self.version().await {
            Ok(found) if found == latest => return Ok(()),
            Ok(found) if found > latest => return Err(newer(found, latest)),
            Ok(_) | Err(Fault::Absent(_)) => {}
            Err(fault) => return Err(fault),
        }
        let mut turn = self.pool.turn().await?;
        let stepped = async {
            for command in E::LOCK {
                turn.command(command).await?;
            }
            turn.command(E::HISTORY).await?;
            let found = version(&turn.run(&self.statements.version, &[]).await?.rows);
            for (number, step) in (1_i64..).zip(E::STEPS).skip(found) {
                for command in *step {
                    turn.command(command).await?;
                }
                let arguments = [Value::Number(number), Value::Number(self.clock.now().millis())];
                match turn.run(&self.statements.migrated, &arguments).await {
                    // Without transactions over tables, another replica may have done the same.
                    Ok(_) | Err(Fault::Duplicate) => {}
                    Err(fault) => return Err(fault),
                }
            }
            for command in E::UNLOCK {
                turn.command(command).await?;
            }
            if found > latest { Err(newer(found, latest)) } else { Ok(()) }
        };
        let done = stepped.await;
        if done.is_err() {
            turn.discard();
        }
        done
    }

    /// Also finds out whether parked connections still live, and opens another one if not.
    async fn version(&self) -> Result<usize, Fault> {
        let (answer, _) = self.persist(&self.statements.version, &[]).await?;
        Ok(version(&answer.rows))
    }
}

fn version(rows: &[Vec<Value>]) -> usize {
    match rows.first().and_then(|row| row.first()) {
        Some(Value::Number(found)) => usize::try_from(*found).unwrap_or_default(),
        _ => 0,
    }
}

fn newer(found: usize, latest: usize) -> Fault {
    Fault::Broken(format!("written by a newer version of Obol (schema {found}; this one knows {latest})"))
}
