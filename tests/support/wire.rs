//! Stands between the service and PostgreSQL: hears every statement, and can cut the wire.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

use super::Database;

/// A wire to one database.
pub struct Wire {
    /// The database's URL by way of the wire.
    pub url: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    statements: Mutex<Vec<String>>,
    cut: AtomicBool,
    cutting: Notify,
}

impl Wire {
    pub async fn to(database: &Database) -> Self {
        let mut url = url::Url::parse(&database.url).expect("a URL");
        let server = format!("{}:{}", url.host_str().expect("a host"), url.port().unwrap_or(5432));
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a port");
        url.set_host(Some("127.0.0.1")).expect("a host");
        url.set_port(Some(listener.local_addr().expect("an address").port())).expect("a port");
        url.set_query(Some("sslmode=disable"));
        let shared = Arc::new(Shared::default());
        tokio::spawn(carry(listener, server, shared.clone()));
        Self { url: url.to_string(), shared }
    }

    /// Forgets what was heard until now.
    pub fn listen_anew(&self) {
        self.shared.statements.lock().unwrap().clear();
    }

    /// The names of the statements executed since: `users.create` of `/* users.create */ INSERT …`.
    pub fn statements(&self) -> Vec<String> {
        let statements = self.shared.statements.lock().unwrap();
        let name = |sql: &String| {
            let named = sql.strip_prefix("/* ").and_then(|rest| rest.split_once(" */"));
            named.map_or_else(|| sql.clone(), |(name, _)| name.to_owned())
        };
        statements.iter().map(name).collect()
    }

    /// Ends all connections and refuses new ones, as a server that went away.
    pub fn cut(&self) {
        self.shared.cut.store(true, Ordering::SeqCst);
        self.shared.cutting.notify_waiters();
    }

    pub fn mend(&self) {
        self.shared.cut.store(false, Ordering::SeqCst);
    }
}

async fn carry(listener: TcpListener, server: String, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let (server, shared) = (server.clone(), shared.clone());
        tokio::spawn(async move {
            let cutting = shared.cutting.notified();
            if shared.cut.load(Ordering::SeqCst) {
                return;
            }
            let Ok(server) = TcpStream::connect(server).await else { return };
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            tokio::select! {
                () = cutting => {}
                _ = listen(&mut from_client, &mut to_server, &shared) => {}
                _ = tokio::io::copy(&mut from_server, &mut to_client) => {}
            }
        });
    }
}

// Passes the client's messages on whole, and notes each statement that is run (Bind, or simple Query) on its way.
async fn listen(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut tokio::net::tcp::OwnedWriteHalf,
    shared: &Shared,
) -> std::io::Result<()> {
    // The first message, alone, has no type.
    let length = from.read_u32().await?;
    let mut first = vec![0; length as usize - 4];
    from.read_exact(&mut first).await?;
    to.write_all(&[&length.to_be_bytes()[..], &first].concat()).await?;
    let mut prepared: HashMap<String, String> = HashMap::new();
    loop {
        let kind = from.read_u8().await?;
        let length = from.read_u32().await?;
        let mut body = vec![0; length as usize - 4];
        from.read_exact(&mut body).await?;
        let mut texts = body.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned());
        let mut text = || texts.next().unwrap_or_default();
        let statement = match kind {
            b'Q' => Some(text()),
            // Bind: to the portal, of the statement. Parsing alone runs nothing.
            b'B' => Some((text(), text()).1).map(|name| prepared.get(&name).cloned().unwrap_or_default()),
            b'P' => {
                prepared.insert(text(), text());
                None
            }
            _ => None,
        };
        shared.statements.lock().unwrap().extend(statement);
        to.write_all(&[&[kind][..], &length.to_be_bytes(), &body].concat()).await?;
    }
}
