//! What an answer depends on besides its address.

use crate::mirror::OwnRequest;

/// For whom a page is made.
#[derive(Clone, Debug)]
pub(super) struct View {
    /// Before every path of a link: the base path of the mirror.
    pub(super) base: String,
    /// The URL of the mirror, for its clients.
    pub(super) url: String,
    /// Private modules are shown.
    pub(super) with_private: bool,
}

impl View {
    pub(super) fn of(request: &OwnRequest, show_private: bool) -> Self {
        Self {
            base: request.base.clone(),
            url: request.url.clone(),
            with_private: show_private && !request.is_forwarded(),
        }
    }

    /// The address of one of our paths.
    pub(super) fn link(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The address of the page of a module version.
    pub(super) fn module(&self, module: &str) -> String {
        let query: String = url::form_urlencoded::byte_serialize(module.as_bytes()).collect();
        format!("{}/-/module?q={query}", self.base)
    }
}

/// The first value of a field of a query or a form.
pub(super) fn field(form: &[u8], name: &str) -> Option<String> {
    url::form_urlencoded::parse(form).find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}
